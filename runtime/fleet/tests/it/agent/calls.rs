//! Calls that fit are made, and their events and ends are told.

use sloth_fleet::wire::generated::{Assign, CloseSeat, ForgetRun, downward};
use sloth_workflow::{Outcome, Value, cbor};

use super::master::{named, until};
use super::world::{RUN, World};

const SCRIPT: &str = "
workflow.define('w'):on_complete(function() print('over') end):tasks({
    task('a'):artifacts('left'):pre_hook(function() fs.write('before', 'b') return true end)
        :command(function()
            print('hello ' .. fs.read('before'))
            fs.write('{}/made', 'x')
            fs.write('left', 'behind')
            return true, 'done', { n = 1 }
        end):build(),
    task('b'):depends_on('a'):consumes('a'):command(function(this, params, deps)
        print('n is ' .. deps.a.n .. ' and ' .. fs.read('left'))
        return true
    end):build(),
})";
const POLICY: &str = "[files]\nwrite = [\"{}/*\"]\nread = [\"{}/*\"]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_of_a_whole_workflow_are_made_and_told_in_order() {
    let world = World::of(SCRIPT, POLICY).await;
    let _agent = world.start().await;
    let hook = Assign {
        part: "pre_hook".into(),
        seat: 9,
        ..world.assign(1, 0, "a")
    };
    world.master.assign(hook).await;
    assert_eq!(world.master.ended(1).await.1.outcome, Outcome::Changed);
    // In the same seat, and so in the same folder.
    let command = Assign {
        seat: 9,
        ..world.assign(2, 0, "a")
    };
    world.master.assign(command).await;
    let (ended, finished) = world.master.ended(2).await;
    assert!(!ended.interrupted);
    assert_eq!(finished.outcome, Outcome::Changed, "{:?}", finished.message);
    assert_eq!(world.read("made"), "x");
    let [artifact] = &finished.artifacts[..] else {
        panic!("{:?}", finished.artifacts)
    };
    // It was sent up before the end was told.
    let kept = format!("sha256:{}", artifact.digest);
    let kept = world.master.look(|seen| seen.contents.get(&kept).cloned());
    assert_eq!(kept.as_deref(), Some(&b"behind"[..]));
    let seat = downward::Kind::CloseSeat(CloseSeat {
        run: RUN.into(),
        seat: 9,
    });
    world.master.send(seat).await;
    let deps = Value::Map([("a".to_owned(), finished.outputs)].into());
    let next = Assign {
        deps: cbor::encode(&deps),
        artifacts: vec![artifact.into()],
        ..world.assign(3, 1, "b")
    };
    world.master.assign(next).await;
    assert_eq!(world.master.ended(3).await.1.outcome, Outcome::Ok);
    let last = Assign {
        task: None,
        part: "on_complete".into(),
        ..world.assign(4, 0, "")
    };
    world.master.assign(last).await;
    world.master.ended(4).await;
    let told = world.master.told();
    let said = |text: &str| told.iter().position(|line| line == text);
    let order = ["hello b", "2 changed: done", "n is 1 and behind", "over"].map(said);
    assert!(
        order.iter().all(Option::is_some) && order.is_sorted(),
        "{told:?}"
    );
    let hello = world.master.look(|seen| seen.hellos[0].clone());
    assert_eq!(
        (hello.name.as_str(), hello.labels["role"].as_str()),
        ("web-01", "web")
    );
    assert!(hello.policy.contains("[files]"));
    let facts = cbor::decode(&hello.facts, cbor::Bounds::DATA).unwrap();
    assert!(
        facts
            .get("platform")
            .and_then(|platform| platform.get("os"))
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifacts_that_lie_elsewhere_are_fetched_before_the_first_call() {
    let world = World::of(SCRIPT, POLICY).await;
    let _agent = world.start().await;
    let digest = world.master.content(b"from afar".to_vec());
    let deps = Value::Map([("n".to_owned(), Value::Integer(2))].into());
    let deps = Value::Map([("a".to_owned(), deps)].into());
    let assign = |call, digest: &str, size| Assign {
        deps: cbor::encode(&deps),
        artifacts: vec![sloth_fleet::wire::generated::Artifact {
            name: "left".into(),
            digest: digest.into(),
            size,
            executable: false,
        }],
        ..world.assign(call, 1, "b")
    };
    world.master.assign(assign(1, &digest, 9)).await;
    let (_, finished) = world.master.ended(1).await;
    assert_eq!(finished.outcome, Outcome::Ok, "{:?}", finished.message);
    assert_eq!(world.master.told()[0], "n is 2 and from afar");
    // One that nobody has is no reason to begin without it.
    let missing = format!("sha256:{}", "0".repeat(64));
    world.master.assign(assign(2, &missing, 9)).await;
    let (reason, denied) = world.master.declined(2).await;
    assert!(reason.contains("no such content") && !denied, "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_made_is_told_again_and_never_made_again() {
    let script = "workflow.define('w'):tasks({ task('a'):command(function()
        fs.append('{}/effects', 'x') return true end):build() })";
    let world = World::of(script, POLICY).await;
    let agent = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    world.master.ended(1).await;
    let given_out_again = |fence| {
        let mut assign = world.assign(1, 0, "a");
        assign.call.as_mut().unwrap().fence = fence;
        assign
    };
    let fences = |world: &World| -> Vec<u64> {
        let ends = world.master.look(|seen| seen.ends());
        ends.iter()
            .map(|ended| ended.call.as_ref().unwrap().fence)
            .collect()
    };
    world.master.assign(given_out_again(3)).await;
    until("the second end", || fences(&world) == [1, 3]).await;
    world.master.assign(given_out_again(2)).await;
    let (reason, _) = world.master.declined(1).await;
    assert!(reason.contains("higher fence"), "{reason}");
    // Nor by another process over the same journal.
    drop(agent);
    let _agent = world.start().await;
    world
        .master
        .sees("a second session", |seen| seen.hellos.get(1).map(drop))
        .await;
    world.master.assign(given_out_again(4)).await;
    until("the third end", || fences(&world) == [1, 3, 4]).await;
    assert_eq!(world.read("effects"), "x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_forgotten_stops() {
    let script = "workflow.define('w'):tasks({ task('a'):command(function() while true do end end):build() })";
    let world = World::of(script, "").await;
    let working = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    until("the call", || working.agent.status().running == 1).await;
    let forget = downward::Kind::ForgetRun(ForgetRun { run: RUN.into() });
    world.master.send(forget).await;
    let (ended, finished) = world.master.ended(1).await;
    assert_eq!((named(&ended), finished.outcome), (1, Outcome::Cancelled));
    until("an idle agent", || working.agent.status().running == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_so_many_steps_are_at_work_on_the_node_whatever_the_runs() {
    let script = "workflow.define('w'):tasks({ task('a'):command(function()
        fs.append('{}/effects', 'x') time.sleep(0.3) return true end):build() })";
    let policy = format!("{POLICY}[limits]\nconcurrent-steps = 1\n");
    let world = World::of(script, &policy).await;
    let _agent = world.start().await;
    for call in 1..=3 {
        let mut assign = world.assign(call, 0, "a");
        assign.call.as_mut().unwrap().run = format!("run-{call}");
        world.master.assign(assign).await;
    }
    until("the first effect", || !world.read("effects").is_empty()).await;
    assert_eq!(world.read("effects"), "x");
    // The seat keeps its place until it is closed.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(world.read("effects"), "x");
    for call in 1..=3 {
        world
            .master
            .sees("an end", |seen| (seen.ends().len() >= call).then_some(()))
            .await;
        let ends = world.master.look(|seen| seen.ends());
        let last = ends.last().unwrap().call.clone().unwrap();
        let close = CloseSeat {
            run: last.run,
            seat: last.call,
        };
        world.master.send(downward::Kind::CloseSeat(close)).await;
    }
    assert_eq!(world.read("effects"), "xxx");
}
