//! One task: conditions, attempts, delays and hooks.

use std::time::Duration;

use sloth_workflow::plan::{Backoff, Retries};
use sloth_workflow::{Condition, Event, Outcome, Part, Task};

use crate::world::{World, after, answers, depending, ends, hooked, json, says, seconds, task};

fn retried(count: u32) -> Task {
    Task {
        retries: Retries {
            count,
            jitter: false,
            ..Retries::default()
        },
        ..task("a")
    }
}

fn asked(name: &str) -> Task {
    Task {
        run_if: Some(Condition::Function),
        abort_if: Some(Condition::Text("test -e /stop".into())),
        ..task(name)
    }
}

#[test]
fn conditions_are_asked_once_before_the_first_attempt_and_in_its_seat() {
    let mut a = retried(1);
    a.run_if = Some(Condition::Function);
    a.abort_if = Some(Condition::Function);
    let ran = World::of(vec![a], |step| match step.part {
        Part::RunIf => answers(true),
        Part::AbortIf => answers(false),
        _ if step.attempt == 1 => ends(Outcome::Failed),
        _ => ends(Outcome::Ok),
    })
    .run();
    assert_eq!(
        ran.called(),
        ["a run-if", "a abort-if", "a command", "a command 2"]
    );
    let seats: Vec<usize> = ran.calls.iter().map(|call| call.seat).collect();
    assert_eq!(seats, [0, 0, 0, 1]);
    assert_eq!(ran.finished(), ["a=ok"]);
}

#[test]
fn a_false_run_if_skips_the_task_and_those_that_depend_on_it_and_no_others() {
    let tasks = vec![asked("a"), depending("b", &["a"]), task("c")];
    let ran = World::of(tasks, |step| match step.part {
        Part::RunIf => answers(false),
        _ => ends(Outcome::Ok),
    })
    .run();
    assert_eq!(ran.called(), ["a run-if", "c command"]);
    assert_eq!(
        ran.finished(),
        [
            "a=skipped run_if is false",
            "b=skipped it depends on `a`, which did not succeed",
            "c=ok"
        ]
    );
    assert_eq!(ran.summary.outcome, Outcome::Ok);
    let started = ran
        .events
        .iter()
        .filter(|event| matches!(event, Event::StepStarted { .. }));
    assert_eq!(started.count(), 1);
}

#[test]
fn a_condition_that_fails_fails_the_task_and_is_named() {
    let ran = World::of(vec![asked("a")], |_| says(Outcome::Failed, "boom")).run();
    assert_eq!(ran.finished(), ["a=failed run_if: boom"]);
    let ran = World::of(vec![asked("a")], |step| match step.part {
        Part::RunIf => answers(true),
        _ => ends(Outcome::Denied),
    })
    .run();
    assert_eq!(ran.finished(), ["a=denied abort_if: denied"]);
}

#[test]
fn a_true_abort_if_stops_the_whole_run_even_if_it_goes_on_after_failures() {
    let ran = World::of(vec![asked("a"), task("b")], |_| answers(true))
        .go_on()
        .run();
    assert_eq!(ran.called(), ["a run-if", "a abort-if"]);
    assert_eq!(
        ran.finished(),
        [
            "a=failed abort_if is true",
            "b=skipped an earlier task did not succeed"
        ]
    );
    assert_eq!(ran.summary.outcome, Outcome::Failed);
}

#[test]
fn what_a_condition_changed_does_not_make_the_task_changed() {
    let ran = World::of(vec![asked("a")], |step| match step.part {
        Part::RunIf | Part::AbortIf => {
            let mut reply = answers(step.part == Part::RunIf);
            reply.finished.outcome = Outcome::Changed;
            reply
        }
        _ => ends(Outcome::Ok),
    })
    .run();
    assert_eq!(ran.finished(), ["a=ok"]);
}

#[test]
fn attempts_are_made_until_one_succeeds_with_growing_delays() {
    let ran = World::of(vec![retried(5)], |step| {
        if step.attempt == 4 {
            ends(Outcome::Changed)
        } else {
            says(Outcome::Failed, "no route")
        }
    })
    .run();
    assert_eq!(ran.delays(), [1000, 2000, 4000]);
    assert_eq!(ran.took, seconds(4 + 7));
    assert_eq!(ran.finished(), ["a=changed"]);
    let attempts: Vec<String> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            Event::StepStarted { attempt, .. } => Some(format!("start {attempt}")),
            Event::StepRetrying {
                attempt,
                outcome,
                message,
                ..
            } => Some(format!("{attempt} {} {}", outcome.word(), message.raw())),
            _ => None,
        })
        .collect();
    assert_eq!(
        attempts,
        [
            "start 1",
            "1 failed no route",
            "start 2",
            "2 failed no route",
            "start 3",
            "3 failed no route",
            "start 4"
        ]
    );
}

#[test]
fn no_more_attempts_are_made_than_are_declared() {
    let ran = World::of(vec![retried(2)], |step| {
        says(Outcome::Failed, &format!("attempt {}", step.attempt))
    })
    .run();
    assert_eq!(ran.finished(), ["a=failed attempt 3"]);
}

#[test]
fn only_declared_ends_are_tried_again() {
    let ran = World::of(vec![retried(2)], |_| ends(Outcome::Denied)).run();
    assert_eq!(ran.called(), ["a command"]);
    let mut a = retried(2);
    a.retries.on = vec![Outcome::Denied];
    let ran = World::of(vec![a], |step| match step.attempt {
        1 => ends(Outcome::Denied),
        _ => ends(Outcome::Failed),
    })
    .run();
    assert_eq!(ran.called(), ["a command", "a command 2"]);
}

#[test]
fn jitter_is_drawn_from_what_the_run_is_given() {
    let mut a = retried(3);
    a.retries.jitter = true;
    let mut world = World::of(vec![a], |_| ends(Outcome::TimedOut));
    world.jitter = 0.5;
    let ran = world.run();
    assert_eq!(ran.delays(), [750, 1500, 3000]);
    assert_eq!(ran.took, Duration::from_millis(4000 + 5250));
}

#[test]
fn a_cancel_ends_a_delay_at_once() {
    let mut a = retried(1);
    a.retries.delay = seconds(1000);
    a.retries.backoff = Backoff::Constant;
    a.hooks = [Part::OnFailure].into_iter().collect();
    let ran = World::of(vec![a, task("b")], |_| ends(Outcome::Failed))
        .cancelled_at(seconds(10))
        .run();
    assert_eq!(ran.took, seconds(10));
    assert_eq!(ran.called(), ["a command"]);
    assert_eq!(
        ran.finished(),
        [
            "b=cancelled the run was cancelled before it started",
            "a=cancelled the run was cancelled"
        ]
    );
}

#[test]
fn the_workflows_time_ends_a_delay_at_once() {
    let mut a = retried(1);
    a.retries.delay = seconds(50);
    let ran = World::of(vec![a], |_| ends(Outcome::Failed))
        .timeout(10)
        .run();
    assert_eq!(ran.took, seconds(10));
    assert_eq!(ran.finished(), ["a=timed-out the workflow's time ran out"]);
    assert_eq!(ran.summary.outcome, Outcome::TimedOut);
}

#[test]
fn hooks_run_around_each_attempt_and_once_after_the_last_in_its_seat() {
    let mut a = hooked(
        "a",
        &[
            Part::PreHook,
            Part::PostHook,
            Part::OnSuccess,
            Part::OnFailure,
            Part::OnTimeout,
        ],
    );
    a.retries = retried(1).retries;
    let ran = World::of(vec![a], |step| match (step.part, step.attempt) {
        (Part::Command, 1) => ends(Outcome::Failed),
        _ => ends(Outcome::Ok),
    })
    .run();
    assert_eq!(
        ran.called(),
        [
            "a pre-hook",
            "a command",
            "a pre-hook 2",
            "a command 2",
            "a post-hook 2",
            "a on-success 2"
        ]
    );
    let seats: Vec<usize> = ran.calls.iter().map(|call| call.seat).collect();
    assert_eq!(seats, [0, 0, 1, 1, 1, 1]);
}

#[test]
fn a_failing_pre_hook_fails_the_attempt_without_its_command() {
    let ran = World::of(
        vec![hooked("a", &[Part::PreHook, Part::OnFailure])],
        |step| match step.part {
            Part::PreHook => says(Outcome::Failed, "no disk"),
            _ => ends(Outcome::Ok),
        },
    )
    .run();
    assert_eq!(ran.called(), ["a pre-hook", "a on-failure"]);
    assert_eq!(ran.finished(), ["a=failed pre_hook: no disk"]);
}

#[test]
fn a_failing_post_hook_fails_the_attempt_and_is_tried_again() {
    let mut a = hooked("a", &[Part::PostHook]);
    a.retries = retried(1).retries;
    let ran = World::of(vec![a], |step| match step.part {
        Part::PostHook => says(Outcome::Failed, "bad sum"),
        _ => ends(Outcome::Ok),
    })
    .run();
    assert_eq!(
        ran.called(),
        ["a command", "a post-hook", "a command 2", "a post-hook 2"]
    );
    assert_eq!(ran.finished(), ["a=failed post_hook: bad sum"]);
}

#[test]
fn any_part_that_changed_something_makes_the_task_changed() {
    for changing in [
        Part::PreHook,
        Part::Command,
        Part::PostHook,
        Part::OnSuccess,
    ] {
        let hooks = [Part::PreHook, Part::PostHook, Part::OnSuccess];
        let ran = World::of(vec![hooked("a", &hooks)], |step| {
            ends(if step.part == changing {
                Outcome::Changed
            } else {
                Outcome::Ok
            })
        })
        .run();
        assert_eq!(ran.finished(), ["a=changed"], "{changing:?}");
    }
}

#[test]
fn each_end_has_its_hook() {
    let all = [Part::OnSuccess, Part::OnFailure, Part::OnTimeout];
    let without_timeout = [Part::OnSuccess, Part::OnFailure];
    for (outcome, hooks, called) in [
        (Outcome::Ok, &all[..], Some("a on-success")),
        (Outcome::Changed, &all[..], Some("a on-success")),
        (Outcome::Failed, &all[..], Some("a on-failure")),
        (Outcome::Denied, &all[..], Some("a on-failure")),
        (Outcome::TimedOut, &all[..], Some("a on-timeout")),
        (
            Outcome::TimedOut,
            &without_timeout[..],
            Some("a on-failure"),
        ),
        (Outcome::Cancelled, &all[..], None),
    ] {
        let ran = World::of(vec![hooked("a", hooks)], |step| match step.part {
            Part::Command => ends(outcome),
            _ => ends(Outcome::Ok),
        })
        .run();
        assert_eq!(ran.called().get(1).map(String::as_str), called);
        assert_eq!(ran.finished(), [format!("a={}", outcome.word())]);
    }
}

#[test]
fn a_failing_closing_hook_is_reported_and_leaves_the_outcome() {
    for outcome in [Outcome::Ok, Outcome::Failed] {
        let hooks = [Part::OnSuccess, Part::OnFailure];
        let ran = World::of(vec![hooked("a", &hooks)], |step| {
            if step.part == Part::Command {
                return ends(outcome);
            }
            let mut reply = says(Outcome::Denied, "no mail");
            reply.finished.location = Some("w.sloth:9".into());
            reply
        })
        .run();
        let key = if outcome.succeeded() {
            "on_success"
        } else {
            "on_failure"
        };
        assert_eq!(
            ran.logged(),
            [format!("a: {key} failed: no mail (w.sloth:9)")]
        );
        assert_eq!(ran.finished(), [format!("a={}", outcome.word())]);
    }
}

#[test]
fn hooks_are_told_how_it_ended() {
    let hooks = [Part::PreHook, Part::PostHook, Part::OnFailure];
    let ran = World::of(vec![hooked("a", &hooks)], |step| match step.part {
        Part::Command => {
            let mut reply = says(Outcome::Ok, "built");
            reply.finished.outputs = json(r#"{"size": 3}"#);
            reply
        }
        Part::PostHook => says(Outcome::Failed, "too small"),
        _ => ends(Outcome::Ok),
    })
    .run();
    let about: Vec<_> = ran
        .calls
        .iter()
        .map(|call| call.step.about.clone())
        .collect();
    assert_eq!(about[0], json("{}"));
    assert_eq!(about[1], json("{}"));
    assert_eq!(
        about[2],
        json(r#"{"success": true, "outcome": "ok", "message": "built", "outputs": {"size": 3}}"#)
    );
    assert_eq!(
        about[3],
        json(
            r#"{"success": false, "outcome": "failed", "message": "post_hook: too small",
                "outputs": {"size": 3}}"#
        )
    );
}

#[test]
fn a_cancel_between_two_parts_calls_no_more_of_them() {
    let hooks = [Part::PostHook, Part::OnFailure, Part::OnSuccess];
    let ran = World::of(vec![hooked("a", &hooks)], |step| match step.part {
        Part::PostHook => after(100, Outcome::Ok),
        _ => ends(Outcome::Ok),
    })
    .cancelled_at(seconds(20))
    .run();
    assert_eq!(ran.called(), ["a command", "a post-hook"]);
    assert_eq!(
        ran.finished(),
        ["a=cancelled post_hook: the run was cancelled"]
    );
}

#[test]
fn a_cancel_at_the_very_end_of_a_call_calls_nothing_more() {
    let stopped = |hooks: &[Part], outcome: Outcome| {
        let mut a = hooked("a", hooks);
        a.retries = retried(1).retries;
        let ran = World::of(vec![a, task("b")], move |_| {
            let mut reply = ends(outcome);
            reply.cancels = true;
            reply
        })
        .run();
        assert_eq!(ran.called(), ["a command"]);
        assert!(ran.logged().is_empty() && ran.delays().is_empty());
        let mut finished = ran.finished();
        assert_eq!(
            finished.remove(0),
            "b=cancelled the run was cancelled before it started"
        );
        finished
    };
    // What it came to is what it came to, but a task that lacks a part has not succeeded.
    assert_eq!(stopped(&[Part::OnSuccess], Outcome::Ok), ["a=ok"]);
    assert_eq!(stopped(&[Part::OnFailure], Outcome::Failed), ["a=failed"]);
    assert_eq!(
        stopped(&[Part::PostHook], Outcome::Ok),
        ["a=cancelled post_hook: the run was cancelled"]
    );
}
