//! The workflow's own hooks.

use sloth_workflow::{Outcome, Part, Subject};

use crate::world::{World, after, ends, json, says, seconds, task};

const BOTH: [Part; 2] = [Part::OnStart, Part::OnComplete];

#[test]
fn on_start_comes_before_and_on_complete_after_all_tasks() {
    let ran = World::of(vec![task("a"), task("b")], |_| ends(Outcome::Ok))
        .hooks(&BOTH)
        .parallel(2)
        .run();
    assert_eq!(
        ran.called(),
        ["w on-start", "a command", "b command", "w on-complete"]
    );
    let from: Vec<_> = ran.calls.iter().map(|call| call.from).collect();
    assert_eq!(from, [0, 1, 1, 2].map(seconds));
    assert!(
        ran.seats
            .iter()
            .any(|(subject, _)| *subject == Subject::Workflow)
    );
    assert_eq!(ran.summary.outcome, Outcome::Ok);
}

#[test]
fn on_complete_is_told_how_every_task_ended() {
    let ran = World::of(vec![task("a"), task("b"), task("c")], |step| {
        let mut reply = match step.subject {
            Subject::Task(1) => says(Outcome::Failed, "boom"),
            _ => ends(Outcome::Ok),
        };
        reply.finished.outputs = json(r#"{"k": 1}"#);
        reply
    })
    .hooks(&[Part::OnComplete])
    .run();
    assert_eq!(
        ran.calls[2].step.about,
        json(
            r#"{"success": false, "results": {
                "a": {"success": true, "outcome": "ok", "message": "", "outputs": {"k": 1}},
                "b": {"success": false, "outcome": "failed", "message": "boom", "outputs": {"k": 1}},
                "c": {"success": false, "outcome": "skipped",
                      "message": "an earlier task did not succeed", "outputs": {}}}}"#
        )
    );
}

#[test]
fn when_on_start_fails_no_task_runs_and_the_run_fails() {
    let ran = World::of(vec![task("a"), task("b")], |step| match step.part {
        Part::OnStart => says(Outcome::Failed, "no token"),
        _ => ends(Outcome::Ok),
    })
    .hooks(&BOTH)
    .run();
    assert_eq!(ran.called(), ["w on-start", "w on-complete"]);
    assert_eq!(
        ran.finished(),
        [
            "a=skipped on_start failed: no token",
            "b=skipped on_start failed: no token"
        ]
    );
    assert_eq!(ran.summary.outcome, Outcome::Failed);
    assert_eq!(
        ran.calls[1].step.about.get("success"),
        Some(&sloth_workflow::Value::Bool(false))
    );
}

#[test]
fn a_failing_on_complete_is_reported_and_leaves_the_outcome() {
    let ran = World::of(vec![task("a")], |step| match step.part {
        Part::OnComplete => says(Outcome::Failed, "no mail"),
        _ => ends(Outcome::Ok),
    })
    .hooks(&BOTH)
    .run();
    assert_eq!(ran.logged(), [": on_complete failed: no mail"]);
    assert_eq!(ran.summary.outcome, Outcome::Ok);
}

#[test]
fn what_the_workflows_hooks_changed_counts() {
    for part in BOTH {
        let ran = World::of(vec![task("a")], |step| {
            ends(if step.part == part {
                Outcome::Changed
            } else {
                Outcome::Ok
            })
        })
        .hooks(&BOTH)
        .run();
        assert_eq!(ran.summary.outcome, Outcome::Changed);
    }
}

#[test]
fn on_complete_runs_after_the_workflows_time_and_is_not_cut_short() {
    let ran = World::of(vec![task("a")], |_| after(100, Outcome::Ok))
        .hooks(&[Part::OnComplete])
        .timeout(5)
        .run();
    assert_eq!(ran.called(), ["a command", "w on-complete"]);
    assert_eq!(ran.took, seconds(105));
    assert!(ran.logged().is_empty());
    assert_eq!(ran.summary.outcome, Outcome::TimedOut);
}

#[test]
fn on_complete_does_not_run_after_a_cancel() {
    let ran = World::of(vec![task("a")], |_| after(100, Outcome::Ok))
        .hooks(&BOTH)
        .cancelled_at(seconds(150))
        .run();
    assert_eq!(ran.called(), ["w on-start", "a command"]);
    assert_eq!(ran.summary.outcome, Outcome::Cancelled);
}

#[test]
fn a_cancel_ends_on_complete() {
    let ran = World::of(vec![task("a")], |_| after(100, Outcome::Ok))
        .hooks(&[Part::OnComplete])
        .cancelled_at(seconds(150))
        .run();
    assert_eq!(ran.took, seconds(150));
    assert_eq!(ran.summary.outcome, Outcome::Ok);
}

#[test]
fn a_cancel_or_the_workflows_time_ends_on_start() {
    let world = || World::of(vec![task("a")], |_| after(100, Outcome::Ok)).hooks(&[Part::OnStart]);
    let ran = world().cancelled_at(seconds(5)).run();
    assert_eq!(ran.called(), ["w on-start"]);
    assert_eq!(ran.summary.outcome, Outcome::Cancelled);
    let ran = world().timeout(5).run();
    assert_eq!(ran.finished(), ["a=skipped the workflow's time ran out"]);
    assert_eq!(ran.summary.outcome, Outcome::TimedOut);
}

#[test]
fn a_workflow_of_which_nothing_is_selected_calls_nothing() {
    let mut world = World::of(vec![task("a")], |_| ends(Outcome::Ok)).hooks(&BOTH);
    world.selection.skip = [0].into();
    assert!(world.run().called().is_empty());
}
