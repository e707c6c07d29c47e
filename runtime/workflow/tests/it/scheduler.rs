//! The order of tasks, places, the selection and the ends that come from outside.

use sloth_workflow::scheduler::Selection;
use sloth_workflow::{Outcome, Part, Step, Subject, Task};

use crate::world::{World, after, depending, ends, hooked, seconds, task};

fn detached(name: &str) -> Task {
    Task {
        detached: true,
        ..task(name)
    }
}

#[test]
fn without_dependencies_tasks_run_in_list_order() {
    let ran = World::of(vec![task("a"), task("b"), task("c")], |_| ends(Outcome::Ok)).run();
    assert_eq!(ran.called(), ["a command", "b command", "c command"]);
    assert_eq!(ran.took, seconds(3));
    assert_eq!(ran.summary.outcome, Outcome::Ok);
}

#[test]
fn a_task_waits_for_those_it_depends_on() {
    let tasks = vec![depending("a", &["b"]), task("b"), task("c")];
    let ran = World::of(tasks, |_| ends(Outcome::Ok)).parallel(3).run();
    assert_eq!(ran.called(), ["b command", "c command", "a command"]);
    assert_eq!(ran.took, seconds(2));
}

#[test]
fn no_more_tasks_run_at_once_than_there_are_places() {
    let tasks = vec![task("a"), task("b"), task("c"), task("d")];
    let ran = World::of(tasks, |_| ends(Outcome::Ok)).parallel(2).run();
    assert_eq!(ran.took, seconds(2));
}

#[test]
fn a_detached_task_starts_in_its_turn_and_takes_no_place() {
    let tasks = vec![
        task("a"),
        detached("b"),
        task("c"),
        task("d"),
        depending("e", &["b"]),
    ];
    let ran = World::of(tasks, |step| {
        after(
            if step.deps.as_map().unwrap().is_empty() {
                1
            } else {
                2
            },
            Outcome::Ok,
        )
    })
    .run();
    assert_eq!(
        ran.called(),
        [
            "a command",
            "b command",
            "c command",
            "d command",
            "e command"
        ]
    );
    let from: Vec<_> = ran.calls.iter().map(|call| call.from).collect();
    assert_eq!(from, [0, 1, 1, 2, 3].map(seconds));
}

#[test]
fn the_run_and_dependents_wait_for_a_detached_task() {
    let tasks = vec![detached("a"), task("b"), depending("c", &["a"])];
    let ran = World::of(tasks, |step| match step.subject {
        Subject::Task(0) => after(10, Outcome::Ok),
        _ => ends(Outcome::Ok),
    })
    .run();
    assert_eq!(ran.calls[2].from, seconds(10));
    let ran = World::of(vec![detached("a"), task("b")], |step| match step.subject {
        Subject::Task(0) => after(10, Outcome::Ok),
        _ => ends(Outcome::Ok),
    })
    .run();
    assert_eq!(ran.took, seconds(10));
    assert_eq!(ran.finished(), ["b=ok", "a=ok"]);
}

#[test]
fn a_selection_runs_what_is_wanted_and_what_that_depends_on() {
    let tasks = || vec![task("a"), depending("b", &["a"]), depending("c", &["b"])];
    let mut world = World::of(tasks(), |_| ends(Outcome::Ok));
    world.selection.only = [1].into();
    let ran = world.run();
    assert_eq!(ran.called(), ["a command", "b command"]);
    assert_eq!(ran.summary.outcomes[2], None);

    let mut world = World::of(tasks(), |_| ends(Outcome::Ok));
    world.selection = Selection {
        only: [2].into(),
        skip: [0].into(),
    };
    let ran = world.run();
    assert_eq!(ran.called(), ["b command", "c command"]);
}

#[test]
fn the_workflows_time_ends_what_runs_and_what_waits() {
    let ran = World::of(vec![task("a"), task("b")], |_| after(100, Outcome::Ok))
        .timeout(5)
        .run();
    let over = "the workflow's time ran out";
    assert_eq!(
        ran.finished(),
        [format!("b=skipped {over}"), format!("a=timed-out {over}")]
    );
    assert_eq!(ran.took, seconds(5));
    assert_eq!(ran.summary.outcome, Outcome::TimedOut);
}

#[test]
fn what_the_workflows_time_ends_calls_its_closing_hook() {
    for (hooks, called) in [
        (vec![Part::OnFailure], "a on-failure"),
        (vec![Part::OnFailure, Part::OnTimeout], "a on-timeout"),
    ] {
        let tasks = || vec![hooked("a", &hooks), task("b")];
        let reply = |step: &Step| match step.part {
            Part::Command => after(100, Outcome::Ok),
            _ => after(3, Outcome::Ok),
        };
        let ran = World::of(tasks(), reply).timeout(5).run();
        assert_eq!(ran.called(), ["a command", called]);
        assert_eq!(ran.took, seconds(8));
        assert_eq!(ran.summary.outcomes[0], Some(Outcome::TimedOut));
        // The operator's word is the last.
        let ran = World::of(tasks(), reply)
            .timeout(5)
            .cancelled_at(seconds(4))
            .run();
        assert_eq!(ran.called(), ["a command"]);
    }
}

#[test]
fn a_workflow_that_runs_out_of_time_between_two_steps_has_not_succeeded() {
    let ran = World::of(vec![task("a"), task("b")], |_| after(5, Outcome::Ok))
        .timeout(5)
        .run();
    assert_eq!(ran.summary.outcome, Outcome::TimedOut);
    assert_eq!(ran.called(), ["a command"]);
}

#[test]
fn nothing_starts_once_the_time_is_over_even_if_nobody_was_told() {
    let ran = World::of(vec![task("a"), task("b")], |_| {
        let mut reply = ends(Outcome::Ok);
        reply.blocks = seconds(60);
        reply
    })
    .timeout(5)
    .run();
    assert_eq!(ran.called(), ["a command"]);
    assert_eq!(
        ran.finished(),
        ["b=skipped the workflow's time ran out", "a=ok"]
    );
    assert_eq!(ran.summary.outcome, Outcome::TimedOut);
}

#[test]
fn a_cancel_starts_nothing_more_and_ends_what_runs() {
    let ran = World::of(vec![task("a"), task("b")], |_| after(100, Outcome::Ok))
        .cancelled_at(seconds(3))
        .run();
    assert_eq!(ran.called(), ["a command"]);
    assert_eq!(ran.took, seconds(3));
    assert_eq!(ran.summary.outcome, Outcome::Cancelled);
    assert_eq!(ran.summary.counts.cancelled, 2);
}

#[test]
fn a_run_that_is_cancelled_before_it_begins_calls_nothing() {
    let ran = World::of(vec![task("a")], |_| ends(Outcome::Ok))
        .hooks(&[Part::OnStart, Part::OnComplete])
        .cancelled_at(seconds(0))
        .run();
    assert!(ran.called().is_empty());
    assert_eq!(ran.summary.outcome, Outcome::Cancelled);
}

#[test]
fn ten_thousand_tasks_in_a_chain_and_apart_are_scheduled() {
    let chain = (0..10_000).map(|index| match index {
        0 => task("t0"),
        _ => depending(&format!("t{index}"), &[&format!("t{}", index - 1)]),
    });
    let ran = World::of(chain.collect(), |_| after(0, Outcome::Ok)).run();
    assert_eq!(ran.summary.counts.ok, 10_000);
    let apart = (0..10_000).map(|index| task(&format!("t{index}")));
    let ran = World::of(apart.collect(), |_| after(0, Outcome::Ok))
        .parallel(1000)
        .run();
    assert_eq!(ran.summary.counts.ok, 10_000);
}
