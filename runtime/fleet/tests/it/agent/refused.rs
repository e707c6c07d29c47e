//! What does not fit the agent's own plan, its policy or the contract is declined, and nothing of it is done.

use sloth_fleet::agent::Only;
use sloth_fleet::wire::content;
use sloth_fleet::wire::generated::{
    Artifact, Assign, CancelCall, CloseSeat, ForgetRun, Piece, Welcome, downward,
};
use sloth_workflow::Outcome;
use sloth_workflow::placement::Share;

use super::master::{pieces, until};
use super::world::{RUN, World, bundle};

const SCRIPT: &str = "workflow.define('w'):tasks({
    task('a'):command(function() fs.write('{}/made', 'x') return true end):build(),
    task('b'):command(function() return true end):build() })";
const POLICY: &str = "[files]\nwrite = [\"{}/*\"]\n";

/// Spoils an assignment.
type Spoil = fn(&mut Assign);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assignment_that_does_not_fit_is_declined_with_the_reason() {
    let world = World::of(SCRIPT, POLICY).await;
    let _agent = world.start().await;
    let spoiled: [(Spoil, &str); 17] = [
        (
            |a| a.task_name = "b".into(),
            "the task of that index is `a`, not `b`",
        ),
        (|a| a.task = Some(7), "has 2 tasks, and none of index 7"),
        (|a| a.task = Some(u32::MAX), "none of index"),
        (|a| a.part = "pre_hook".into(), "there is no pre_hook there"),
        (|a| a.part = "\u{1b}[2J".into(), "`\\u{1b}[2J` is no part"),
        (|a| a.task = None, "command belongs to something else"),
        (
            |a| a.part = "on_start".into(),
            "on_start belongs to something else",
        ),
        (|a| a.bundle = "sha256:12".into(), "its bundle is no digest"),
        (
            |a| a.bundle = format!("sha256:{}", "0".repeat(64)),
            "is not to be had",
        ),
        (
            |a| a.workflow = "other".into(),
            "there is no workflow `other`",
        ),
        (|a| a.attempt = 0, "its attempt"),
        (|a| a.seat = u64::MAX, "or its seat is out of range"),
        (|a| a.deps = vec![0x9b; 9], "its deps"),
        (|a| a.stack = vec![0xf6], "its stack is nothing, not a map"),
        (|a| a.stack_name = "s".repeat(10_000), "too long a name"),
        (
            |a| {
                a.artifacts = vec![Artifact {
                    name: "../../etc/passwd".into(),
                    digest: format!("sha256:{}", "0".repeat(64)),
                    size: 1,
                    executable: false,
                }];
            },
            "leads out of the working folder",
        ),
        (
            |a| drop(a.secrets.insert("../x".into(), b"long enough".to_vec())),
            "a secret has a name that is none",
        ),
    ];
    for (call, (spoil, because)) in (1..).zip(spoiled) {
        let mut assign = world.assign(call, 0, "a");
        // Each is a run of its own.
        assign.call.as_mut().unwrap().run = format!("run-{call}");
        spoil(&mut assign);
        world.master.assign(assign).await;
        let (reason, denied) = world.master.declined(call).await;
        assert!(
            reason.contains(because) && !denied,
            "{reason} and not {because}"
        );
    }
    assert_eq!(world.read("made"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declared_and_not_granted_is_declined_before_anything_runs_with_all_of_it() {
    let script = "workflow.define('w'):capabilities({ files = { write = { '/etc/motd', '{}/*' } }, network = { connect = { 'example.org:443' } } })
        :tasks({ task('a'):command(function() fs.write('{}/made', 'x') return true end):build() })";
    let script = script.replace(
        "network = { connect = { 'example.org:443' } }",
        "process = { run = { 'reboot' } }",
    );
    let world = World::of(&script, POLICY).await;
    let _agent = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    let (reason, denied) = world.master.declined(1).await;
    assert!(denied, "{reason}");
    assert!(
        reason.contains("files.write /etc/motd") && reason.contains("process.run"),
        "{reason}"
    );
    assert!(!reason.contains("made") && world.read("made").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundles_that_are_cut_or_others_are_not_run() {
    let world = World::of(SCRIPT, POLICY).await;
    let _agent = world.start().await;
    let whole = content::encode(&bundle(SCRIPT), None).bytes;
    let digest = world.bundle.clone();
    let cut = pieces(&digest, &whole[..whole.len() - 10]);
    let mut cut_and_said = pieces(&digest, &whole);
    cut_and_said.truncate(1);
    let mut larger = pieces(&digest, &whole);
    larger.push(Piece {
        data: vec![0; 100].into(),
        ..Piece::default()
    });
    let mut endless = pieces(&digest, &whole);
    endless[0].size = u64::MAX;
    let other = pieces(&format!("sha256:{}", "1".repeat(64)), &whole);
    let cases = [
        (cut, "its digest is"),
        (cut_and_said, "it ends after 0 of"),
        (larger, "it is longer than"),
        (endless, "is the most"),
        (other, "another content was sent"),
        (Vec::new(), "it is empty"),
    ];
    for (call, (instead, because)) in (1..).zip(cases) {
        world.master.look(|seen| seen.instead = Some(instead));
        let mut assign = world.assign(call, 0, "a");
        assign.call.as_mut().unwrap().run = format!("run-{call}");
        world.master.assign(assign).await;
        let (reason, _) = world.master.declined(call).await;
        assert!(reason.contains(because), "{reason} and not {because}");
    }
    // Bytes that are what was asked for, and no bundle.
    world.master.look(|seen| seen.instead = None);
    let mut assign = world.assign(20, 0, "a");
    assign.call.as_mut().unwrap().run = "run-20".into();
    assign.bundle = world.master.content(vec![0xff; 300]);
    world.master.assign(assign).await;
    let (reason, _) = world.master.declined(20).await;
    assert!(reason.contains("it is no bundle"), "{reason}");
    assert_eq!(world.read("made"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_one_run_takes_nothing_but_what_was_submitted_there() {
    let world = World::of(SCRIPT, POLICY).await;
    let mut config = world.config();
    config.only = Some(Only {
        run: RUN.into(),
        bundle: world.bundle.clone(),
        stack: "stack".into(),
        workflow: "w".into(),
        check: true,
        share: Share {
            tasks: [0].into(),
            frame: false,
        },
    });
    let _agent = world.start_with(config).await;
    let spoiled: [(Spoil, &str); 7] = [
        (
            |a| a.call.as_mut().unwrap().run = "another".into(),
            "another run",
        ),
        (
            |a| a.bundle = format!("sha256:{}", "0".repeat(64)),
            "not the bundle that was submitted",
        ),
        (|a| a.workflow = "v".into(), "not the workflow"),
        (|a| a.stack_name = "production".into(), "not the stack"),
        (|a| a.check = false, "was to be checked"),
        (
            |a| {
                a.task = Some(1);
                a.task_name = "b".into();
            },
            "was left out",
        ),
        (
            |a| {
                a.task = None;
                a.task_name = String::new();
                a.part = "on_start".into();
            },
            "not to be on this machine",
        ),
    ];
    let fitting = |call| Assign {
        check: true,
        ..world.assign(call, 0, "a")
    };
    for (call, (spoil, because)) in (1..).zip(spoiled) {
        let mut assign = fitting(call);
        spoil(&mut assign);
        world.master.assign(assign).await;
        let (reason, _) = world.master.declined(call).await;
        assert!(reason.contains(because), "{reason} and not {because}");
    }
    world.master.assign(fitting(8)).await;
    assert_eq!(world.master.ended(8).await.1.outcome, Outcome::Changed);
    assert_eq!(world.read("made"), "", "it was checked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_make_no_sense_end_nothing() {
    let world = World::of(SCRIPT, POLICY).await;
    let _agent = world.start().await;
    for kind in [
        downward::Kind::Assign(Assign::default()),
        downward::Kind::Cancel(CancelCall::default()),
        downward::Kind::Cancel(CancelCall {
            call: Some(world.call(99)),
        }),
        downward::Kind::CloseSeat(CloseSeat {
            run: "no such".into(),
            seat: 7,
        }),
        downward::Kind::ForgetRun(ForgetRun {
            run: "../../x".into(),
        }),
        downward::Kind::Welcome(Welcome::default()),
    ] {
        world.master.send(kind).await;
    }
    world.master.assign(world.assign(1, 0, "a")).await;
    assert_eq!(world.master.ended(1).await.1.outcome, Outcome::Changed);
    assert_eq!(
        world.master.look(|seen| seen.hellos.len()),
        1,
        "it is one session still"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large_costs_a_session_and_no_more() {
    let world = World::of(SCRIPT, POLICY).await;
    let _agent = world.start().await;
    let huge = Assign {
        about: vec![0; 17 << 20],
        ..world.assign(1, 0, "a")
    };
    world.master.assign(huge).await;
    world
        .master
        .sees("another session", |seen| seen.hellos.get(1).map(drop))
        .await;
    world.master.assign(world.assign(2, 0, "a")).await;
    assert_eq!(world.master.ended(2).await.1.outcome, Outcome::Changed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_assignments_are_declined_beyond_what_is_taken_on() {
    let script =
        "workflow.define('w'):tasks({ task('a'):command(function() time.sleep(500) end):build() })";
    let world = World::of(script, "").await;
    let working = world.start().await;
    for call in 1..=100_000 {
        world.master.assign(world.assign(call, 0, "a")).await;
    }
    let declined = || world.master.look(|seen| seen.upward.len());
    until("the last to be declined", || declined() >= 95_000).await;
    assert_eq!(working.agent.status().running, 4096);
    // It is heard all the same.
    for call in 1..=4096 {
        world.master.cancel(world.call(call)).await;
    }
    until("all to end", || working.agent.status().running == 0).await;
}
