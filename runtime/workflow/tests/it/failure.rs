//! What a failure stops, and what it calls.

use sloth_workflow::{Condition, Outcome, Part, Step, Subject, Task};

use crate::world::{
    Ran, Reply, World, after, answers, depending, ends, rescuing, says, seconds, task,
};

/// The tasks at these indices fail.
fn failing(indices: &[usize]) -> impl Fn(&Step) -> Reply + Sync {
    move |step| match step.subject {
        Subject::Task(index) if indices.contains(&index) => ends(Outcome::Failed),
        _ => ends(Outcome::Ok),
    }
}

fn both(name: &str, on: &[&str], from: &[&str]) -> Task {
    Task {
        depends_on: depending(name, on).depends_on,
        ..rescuing(name, from)
    }
}

#[test]
fn after_a_failure_nothing_more_starts_and_what_runs_ends() {
    let tasks = vec![task("a"), task("b"), task("c")];
    let ran = World::of(tasks, |step| match step.subject {
        Subject::Task(0) => ends(Outcome::Failed),
        _ => after(10, Outcome::Ok),
    })
    .parallel(2)
    .run();
    assert_eq!(
        ran.finished(),
        [
            "a=failed",
            "c=skipped an earlier task did not succeed",
            "b=ok"
        ]
    );
    assert_eq!(ran.summary.outcome, Outcome::Failed);
}

#[test]
fn a_run_that_goes_on_skips_only_what_depends_on_the_failed() {
    let tasks = vec![
        task("a"),
        depending("b", &["a"]),
        depending("c", &["b"]),
        task("d"),
    ];
    let ran = World::of(tasks, failing(&[0])).go_on().run();
    assert_eq!(
        ran.finished(),
        [
            "a=failed",
            "b=skipped it depends on `a`, which did not succeed",
            "c=skipped it depends on `b`, which did not succeed",
            "d=ok"
        ]
    );
}

#[test]
fn a_failure_calls_its_rescuer_and_what_depends_on_that_though_the_run_stops() {
    let tasks = || {
        vec![
            task("a"),
            rescuing("clean", &["a"]),
            depending("tell", &["clean"]),
            task("z"),
        ]
    };
    for outcome in [Outcome::Failed, Outcome::Denied, Outcome::TimedOut] {
        let ran = World::of(tasks(), |step| match step.subject {
            Subject::Task(0) => ends(outcome),
            _ => ends(Outcome::Ok),
        })
        .run();
        assert_eq!(ran.called(), ["a command", "clean command", "tell command"]);
        assert_eq!(ran.summary.outcome, outcome);
        assert!(
            ran.finished()
                .contains(&"z=skipped an earlier task did not succeed".to_owned())
        );
    }
}

#[test]
fn a_rescuer_is_not_called_when_nothing_failed() {
    let tasks = vec![
        task("a"),
        task("b"),
        rescuing("clean", &["a", "b"]),
        depending("tell", &["clean"]),
    ];
    let ran = World::of(tasks, failing(&[])).run();
    assert_eq!(
        ran.finished(),
        [
            "a=ok",
            "b=ok",
            "clean=skipped none of `a`, `b` failed",
            "tell=skipped it depends on `clean`, which did not succeed"
        ]
    );
    assert_eq!(ran.summary.outcome, Outcome::Ok);
}

#[test]
fn skipped_tasks_call_nobody() {
    let mut a = task("a");
    a.run_if = Some(Condition::Function);
    let ran = World::of(vec![a, rescuing("clean", &["a"])], |_| answers(false)).run();
    assert_eq!(
        ran.finished(),
        [
            "a=skipped run_if is false",
            "clean=skipped none of `a` failed"
        ]
    );
}

#[test]
fn a_rescuer_waits_for_all_it_names() {
    let tasks = vec![task("a"), task("b"), rescuing("clean", &["a", "b"])];
    let ran = World::of(tasks, |step| match step.subject {
        Subject::Task(0) => ends(Outcome::Failed),
        Subject::Task(1) => after(10, Outcome::Ok),
        _ => ends(Outcome::Ok),
    })
    .parallel(2)
    .run();
    assert_eq!(ran.calls[2].from, seconds(10));
    assert_eq!(ran.finished(), ["a=failed", "b=ok", "clean=ok"]);
}

#[test]
fn a_rescuer_of_other_tasks_is_not_called_when_the_run_stops() {
    let tasks = vec![task("a"), task("b"), rescuing("clean", &["b"])];
    let ran = World::of(tasks, failing(&[0])).run();
    assert_eq!(
        ran.finished(),
        [
            "a=failed",
            "b=skipped an earlier task did not succeed",
            "clean=skipped none of `b` failed"
        ]
    );
}

#[test]
fn a_rescuer_needs_its_dependencies_too() {
    let tasks = || vec![task("a"), task("b"), both("clean", &["b"], &["a"])];
    let ran = World::of(tasks(), failing(&[0])).run();
    assert_eq!(
        ran.finished()[2],
        "clean=skipped it depends on `b`, which did not succeed"
    );
    let ran = World::of(tasks(), failing(&[0])).go_on().run();
    assert_eq!(ran.finished(), ["a=failed", "b=ok", "clean=ok"]);
    assert_eq!(ran.summary.outcome, Outcome::Failed);
}

#[test]
fn a_rescuer_of_a_rescuer_is_called_when_that_fails() {
    let tasks = vec![task("a"), rescuing("b", &["a"]), rescuing("c", &["b"])];
    let ran = World::of(tasks, failing(&[0, 1])).run();
    assert_eq!(ran.finished(), ["a=failed", "b=failed", "c=ok"]);
}

#[test]
fn a_rescuer_whose_task_is_left_out_is_not_called() {
    let mut world = World::of(vec![task("a"), rescuing("clean", &["a"])], failing(&[]));
    world.selection.skip = [0].into();
    let ran: Ran = world.run();
    assert_eq!(ran.finished(), ["clean=skipped none of `a` failed"]);
}

#[test]
fn an_abort_calls_its_rescuer() {
    let mut a = task("a");
    a.abort_if = Some(Condition::Function);
    let tasks = vec![a, task("b"), rescuing("clean", &["a"])];
    let ran = World::of(tasks, |step| match step.part {
        Part::AbortIf => answers(true),
        _ => ends(Outcome::Ok),
    })
    .go_on()
    .run();
    assert_eq!(ran.called(), ["a abort-if", "clean command"]);
}

#[test]
fn a_cancel_ends_rescuers_too() {
    let tasks = vec![task("a"), rescuing("b", &["a"]), depending("c", &["b"])];
    let ran = World::of(tasks, |step| match step.subject {
        Subject::Task(0) => says(Outcome::Failed, "boom"),
        _ => after(100, Outcome::Ok),
    })
    .cancelled_at(seconds(5))
    .run();
    assert_eq!(
        ran.finished(),
        [
            "a=failed boom",
            "c=cancelled the run was cancelled before it started",
            "b=cancelled the run was cancelled"
        ]
    );
}

#[test]
fn what_depends_on_a_rescuer_runs_even_if_the_run_stops_after_the_rescuer_ended() {
    let mut stop = task("stop");
    stop.abort_if = Some(Condition::Function);
    let tasks = vec![
        task("a"),
        rescuing("clean", &["a"]),
        stop,
        depending("tell", &["clean"]),
        task("z"),
    ];
    let ran = World::of(tasks, |step| match (step.subject, step.part) {
        (Subject::Task(0), _) => ends(Outcome::Failed),
        (_, Part::AbortIf) => answers(true),
        _ => ends(Outcome::Ok),
    })
    .go_on()
    .run();
    assert_eq!(
        ran.called(),
        [
            "a command",
            "clean command",
            "stop abort-if",
            "tell command"
        ]
    );
}
