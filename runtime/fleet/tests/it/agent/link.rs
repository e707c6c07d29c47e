//! The link breaks, the agent dies, the journal is lost: nothing is told twice, nothing is lost unsaid.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sloth_fleet::agent::Agent;
use sloth_fleet::store::journal::Bounds;
use sloth_workflow::Outcome;

use super::master::until;
use super::world::{World, config, granting};

const COUNTS: &str = "workflow.define('w'):tasks({ task('a'):command(function()
    for i = 1, 200 do print('line ' .. i) time.sleep(0.01) end return true end):build() })";

fn lines(world: &World) -> Vec<String> {
    let mut told = world.master.told();
    told.retain(|line| line.starts_with("line "));
    told
}

fn wanted(count: usize) -> Vec<String> {
    (1..=count).map(|line| format!("line {line}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_cut_again_and_again_loses_and_doubles_nothing() {
    let world = World::of(COUNTS, "").await;
    let _agent = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        world.master.cut();
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.master.mend();
    }
    let (_, finished) = world.master.ended(1).await;
    assert_eq!(finished.outcome, Outcome::Ok);
    assert_eq!(lines(&world), wanted(200));
    assert!(world.master.look(|seen| seen.hellos.len()) > 1);
    assert_eq!(world.master.look(|seen| seen.journals.len()), 1);
    let open = world.master.look(|seen| seen.hellos[1].open.clone());
    assert_eq!(open, [world.call(1)], "what goes on is named");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_goes_on_without_a_master_and_is_told_of_by_the_next_process() {
    let world = World::of(COUNTS, "").await;
    let working = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    world
        .master
        .sees("the first line", |seen| {
            seen.deliveries.get(&(0, 1)).map(drop)
        })
        .await;
    world.master.cut();
    until("the end of the step", || {
        working.agent.status().running == 0
    })
    .await;
    drop(working);
    let _agent = world.start().await;
    world.master.mend();
    world.master.ended(1).await;
    assert_eq!(lines(&world), wanted(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_beyond_its_bounds_is_counted_and_nothing_else_is_dropped() {
    let script = "workflow.define('w'):tasks({ task('a'):command(function()
        for i = 1, 5000 do print('line ' .. i) if i % 1000 == 0 then fs.write('{}/' .. i, 'x') end end
        pcall(fs.write, '/etc/motd', 'x') return true end):build() })";
    let mut world = World::of(script, "[files]\nwrite = [\"{}/*\"]\n").await;
    world.bounds = Bounds {
        window: 2 << 10,
        output: 32 << 10,
        memory: 8 << 20,
    };
    world.master.look(|seen| seen.keeps = false);
    let working = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    until("the step to end", || {
        working.agent.status().running == 0 && world.path("5000").exists()
    })
    .await;
    world.master.look(|seen| seen.keeps = true);
    world.master.cut();
    world.master.mend();
    world.master.ended(1).await;
    let told = world.master.told();
    let lost: Vec<_> = told
        .iter()
        .filter(|line| line.contains("lines of output were lost"))
        .collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
    let count: usize = lost[0].split(' ').next().unwrap().parse().unwrap();
    assert_eq!(lines(&world).len() + count, 5000);
    assert_eq!(
        told.iter()
            .filter(|line| line.starts_with("change: "))
            .count(),
        5
    );
    assert_eq!(
        told.iter()
            .filter(|line| line.starts_with("Denial"))
            .count(),
        1
    );
    // The oldest of those that had no number went first.
    assert_eq!(lines(&world).last().unwrap(), "line 5000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_was_lost_is_begun_anew_under_another_name() {
    let world = World::of(COUNTS, "").await;
    let working = world.start().await;
    world.master.connected().await;
    working.agent.end();
    until("the agent to end", || working.task.is_finished()).await;
    drop(working);
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = std::fs::remove_file(world.path("data").join(name));
    }
    let _agent = world.start().await;
    let journals = |seen: &super::master::Seen| (seen.journals.len() == 2).then_some(());
    world.master.sees("another journal", journals).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_claims_what_cannot_be_costs_a_journal_and_nothing_that_is_told() {
    let world = World::of(COUNTS, "").await;
    let working = world.start().await;
    for (call, claim) in [(1, u64::MAX), (2, 0)] {
        world.master.assign(world.assign(call, 0, "a")).await;
        world.master.ended(call).await;
        // Until the agent has heard that this is kept.
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.master.cut();
        let before = world.master.look(|seen| seen.journals.len());
        world.master.look(|seen| seen.claims = Some(claim));
        world.master.mend();
        let next = |seen: &super::master::Seen| (seen.journals.len() > before).then_some(());
        world.master.sees("another journal", next).await;
    }
    world.master.assign(world.assign(3, 0, "a")).await;
    world.master.ended(3).await;
    until("an idle agent", || working.agent.status().running == 0).await;
}

const CHILD: &str = "agent::link::is_an_agent";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process that the tests of this file start and kill"]
async fn is_an_agent() {
    let Some(data) = std::env::var_os("SLOTH_TEST_FOLDER").map(PathBuf::from) else {
        return;
    };
    let policy = std::env::var("SLOTH_TEST_POLICY").unwrap();
    let master = std::env::var("SLOTH_TEST_MASTER").unwrap();
    let read = Arc::new(move || granting(&policy));
    let config = config(&data, &master, Bounds::default(), read);
    Agent::open(config).await.unwrap().run().await;
}

fn process(world: &World) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored"])
        .env("SLOTH_TEST_FOLDER", world.path("data"))
        .env("SLOTH_TEST_POLICY", world.policy.lock().unwrap().as_str())
        .env("SLOTH_TEST_MASTER", world.master.address.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_a_call_interrupts_it_and_its_effect_happened_once() {
    let script = "workflow.define('w'):tasks({ task('a'):command(function()
        print('begun') fs.append('{}/effects', 'x') while true do end end):build() })";
    let world = World::of(script, "[files]\nwrite = [\"{}/*\"]\nread = [\"{}/*\"]\n").await;
    let mut child = process(&world);
    world.master.assign(world.assign(1, 0, "a")).await;
    until("the effect", || world.read("effects") == "x").await;
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = process(&world);
    let (ended, finished) = world.master.ended(1).await;
    assert!(ended.interrupted);
    assert_eq!(finished.outcome, Outcome::Failed);
    assert!(finished.message.raw().starts_with("interrupted: "));
    // Given out again it is told again, and not made again.
    let mut again = world.assign(1, 0, "a");
    again.call.as_mut().unwrap().fence = 2;
    world.master.assign(again).await;
    world
        .master
        .sees("the second end", |seen| {
            seen.ends()
                .iter()
                .any(|ended| ended.call.as_ref().unwrap().fence == 2)
                .then_some(())
        })
        .await;
    assert_eq!(world.read("effects"), "x");
    child.kill().unwrap();
    child.wait().unwrap();
}
