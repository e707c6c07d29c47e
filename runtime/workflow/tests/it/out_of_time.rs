//! The end of the workflow's time: what had begun is told of it and undone, within times of its own.

use sloth_workflow::plan::Retries;
use sloth_workflow::{Outcome, Part, Step, Task};

use crate::world::{Reply, World, after, depending, ends, hooked, rescuing, seconds, task};

/// Its command goes on for as long as it may.
fn long(step: &Step) -> Reply {
    match step.part {
        Part::Command if step.subject == sloth_workflow::Subject::Task(0) => {
            after(100, Outcome::Ok)
        }
        _ => ends(Outcome::Ok),
    }
}

#[test]
fn a_task_that_is_ended_by_the_workflows_time_calls_its_hook() {
    for (hooks, called) in [
        (&[Part::OnFailure, Part::OnTimeout][..], "a on-timeout"),
        (&[Part::OnFailure][..], "a on-failure"),
    ] {
        let ran = World::of(vec![hooked("a", hooks), task("b")], long)
            .timeout(5)
            .run();
        assert_eq!(ran.called(), ["a command", called]);
        assert_eq!(
            ran.finished(),
            [
                "b=skipped the workflow's time ran out",
                "a=timed-out the workflow's time ran out"
            ]
        );
        assert!(ran.logged().is_empty());
        assert_eq!(ran.took, seconds(6));
        assert_eq!(ran.summary.outcome, Outcome::TimedOut);
        let about = &ran.calls[1].step.about;
        assert_eq!(about.get("outcome").unwrap().as_text(), Some("timed-out"));
    }
}

#[test]
fn a_delay_that_is_ended_by_the_workflows_time_calls_the_hook_once() {
    let mut a = hooked("a", &[Part::OnFailure]);
    a.retries = Retries {
        count: 3,
        delay: seconds(50),
        jitter: false,
        ..Retries::default()
    };
    let ran = World::of(vec![a], |step| match step.part {
        Part::Command => ends(Outcome::Failed),
        _ => ends(Outcome::Ok),
    })
    .timeout(10)
    .run();
    assert_eq!(ran.called(), ["a command", "a on-failure"]);
    assert_eq!(ran.finished(), ["a=timed-out the workflow's time ran out"]);
}

#[test]
fn a_task_that_had_begun_calls_its_rescuers_and_others_are_skipped() {
    let tasks = vec![
        task("a"),
        rescuing("rescue", &["a"]),
        task("b"),
        rescuing("late", &["b"]),
        depending("after", &["rescue"]),
        rescuing("again", &["rescue"]),
    ];
    let ran = World::of(tasks, |step| match (step.subject, step.part) {
        (sloth_workflow::Subject::Task(1), _) => ends(Outcome::Failed),
        _ => long(step),
    })
    .timeout(5)
    .run();
    assert_eq!(
        ran.called(),
        ["a command", "rescue command", "again command"]
    );
    let mut finished = ran.finished();
    finished.sort();
    assert_eq!(
        finished,
        [
            "a=timed-out the workflow's time ran out",
            "after=skipped the workflow's time ran out",
            "again=ok",
            "b=skipped the workflow's time ran out",
            "late=skipped the workflow's time ran out",
            "rescue=failed",
        ]
    );
    assert_eq!(ran.summary.outcome, Outcome::TimedOut);
}

#[test]
fn what_failed_before_the_time_ran_out_still_calls_its_rescuer() {
    let rescue = Task {
        next_if_fail: vec!["b".into(), "a".into()],
        ..task("rescue")
    };
    let tasks = vec![task("a"), task("b"), rescue];
    let ran = World::of(tasks, |step| match step.subject {
        sloth_workflow::Subject::Task(1) => ends(Outcome::Failed),
        _ => long(step),
    })
    .parallel(2)
    .timeout(5)
    .run();
    assert_eq!(ran.called(), ["a command", "b command", "rescue command"]);
}

#[test]
fn a_cancel_ends_what_undoes() {
    let tasks = vec![hooked("a", &[Part::OnTimeout]), rescuing("b", &["a"])];
    let slow = |step: &Step| match step.part {
        Part::OnTimeout => after(100, Outcome::Ok),
        _ => long(step),
    };
    let ran = World::of(tasks.clone(), slow)
        .timeout(5)
        .cancelled_at(seconds(20))
        .run();
    assert_eq!(ran.called(), ["a command", "a on-timeout"]);
    assert_eq!(ran.took, seconds(20));
    let mut finished = ran.finished();
    finished.sort();
    assert_eq!(
        finished,
        [
            "a=timed-out the workflow's time ran out",
            "b=cancelled the run was cancelled before it started"
        ]
    );
    let slow = |step: &Step| match step.subject {
        sloth_workflow::Subject::Task(1) => after(100, Outcome::Ok),
        _ => long(step),
    };
    let ran = World::of(tasks, slow)
        .timeout(5)
        .cancelled_at(seconds(20))
        .run();
    assert_eq!(ran.called(), ["a command", "a on-timeout", "b command"]);
    assert_eq!(ran.took, seconds(20));
    assert_eq!(ran.finished()[1], "b=cancelled the run was cancelled");
}
