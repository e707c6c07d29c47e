//! What flows from task to task: outputs, the stack, artifacts.

use sloth_workflow::{Artifact, Outcome, Part, Subject, Task, Value};

use crate::world::{World, depending, ends, hooked, json, rescuing, task, texts};

fn artifact(name: &str) -> Artifact {
    Artifact {
        name: name.to_owned(),
        digest: format!("sha256:{name}"),
        size: 1,
        executable: false,
    }
}

fn consuming(name: &str, consumes: &[&str]) -> Task {
    Task {
        consumes: texts(consumes),
        ..task(name)
    }
}

#[test]
fn outputs_reach_those_that_depend_or_consume_and_no_others() {
    let tasks = vec![
        task("a"),
        depending("b", &["a"]),
        consuming("c", &["b"]),
        task("d"),
    ];
    let ran = World::of(tasks, |step| {
        let mut reply = ends(Outcome::Ok);
        if let Subject::Task(index) = step.subject {
            reply.finished.outputs = json(&format!(r#"{{"index": {index}}}"#));
        }
        reply
    })
    .run();
    let deps: Vec<_> = ran
        .calls
        .iter()
        .map(|call| call.step.deps.clone())
        .collect();
    assert_eq!(deps[0], json("{}"));
    assert_eq!(deps[1], json(r#"{"a": {"index": 0}}"#));
    assert_eq!(deps[2], json(r#"{"b": {"index": 1}}"#));
    assert_eq!(deps[3], json("{}"));
}

#[test]
fn the_stack_is_laid_key_by_key_as_tasks_finish_and_later_wins() {
    let tasks = vec![hooked("a", &[Part::PostHook]), task("b")];
    let ran = World::of(tasks, |step| {
        let mut reply = ends(Outcome::Ok);
        reply.finished.stack = match (step.subject, step.part) {
            (Subject::Workflow, Part::OnStart) => json(r#"{"start": 1, "x": {"of": "start"}}"#),
            (Subject::Task(0), Part::Command) => json(r#"{"x": {"by": "a"}, "a": 1}"#),
            (Subject::Task(0), _) => json(r#"{"a": 2}"#),
            (Subject::Task(_), _) => json(r#"{"b": 1}"#),
            _ => json(r#"{"end": 1}"#),
        };
        reply
    })
    .hooks(&[Part::OnStart, Part::OnComplete])
    .run();
    let stacks: Vec<_> = ran
        .calls
        .iter()
        .map(|call| call.step.stack.clone())
        .collect();
    assert_eq!(stacks[0], json("{}"));
    assert_eq!(stacks[1], json(r#"{"start": 1, "x": {"of": "start"}}"#));
    assert_eq!(stacks[2], json(r#"{"start": 1, "x": {"by": "a"}, "a": 1}"#));
    assert_eq!(stacks[3], json(r#"{"start": 1, "x": {"by": "a"}, "a": 2}"#));
    assert_eq!(
        ran.summary.outputs.get("stack"),
        Some(&json(
            r#"{"start": 1, "x": {"by": "a"}, "a": 2, "b": 1, "end": 1}"#
        ))
    );
}

#[test]
fn the_runs_outputs_are_those_of_tasks_that_succeeded_and_have_any() {
    let tasks = vec![task("a"), task("b"), task("c")];
    let ran = World::of(tasks, |step| {
        let mut reply = ends(Outcome::Ok);
        match step.subject {
            Subject::Task(0) => reply.finished.outputs = json(r#"{"url": "x"}"#),
            Subject::Task(2) => {
                reply = ends(Outcome::Failed);
                reply.finished.outputs = json(r#"{"url": "y"}"#);
            }
            _ => {}
        }
        reply
    })
    .run();
    assert_eq!(
        ran.summary.outputs,
        json(r#"{"tasks": {"a": {"url": "x"}}, "stack": {}}"#)
    );
}

#[test]
fn artifacts_of_the_command_are_put_into_every_seat_of_those_that_consume_them() {
    let build = Task {
        artifacts: texts(&["dist/*.tar", "notes"]),
        ..hooked("build", &[Part::PostHook])
    };
    let mut by_task = consuming("by task", &["build", "notes"]);
    by_task.retries.count = 1;
    let tasks = vec![
        build,
        by_task,
        consuming("by glob", &["*.tar"]),
        consuming("by folder", &["notes"]),
        depending("by order", &["build"]),
    ];
    let ran = World::of(tasks, |step| {
        let mut reply = ends(Outcome::Ok);
        reply.finished.artifacts = match (step.subject, step.part) {
            (Subject::Task(0), Part::Command) => vec![
                artifact("dist/a.tar"),
                artifact("dist/b.tar"),
                artifact("notes/today"),
            ],
            (Subject::Task(1), _) if step.attempt == 1 => return ends(Outcome::Failed),
            _ => vec![artifact("of no use")],
        };
        reply
    })
    .run();
    let all = ["dist/a.tar", "dist/b.tar", "notes/today"];
    let seats: Vec<Vec<&str>> = ran
        .seats
        .iter()
        .map(|(_, artifacts)| artifacts.iter().map(|a| a.name.as_str()).collect())
        .collect();
    assert_eq!(
        seats,
        [&[][..], &all, &all, &all[..2], &all[2..], &[]].map(<[&str]>::to_vec)
    );
    assert_eq!(ran.summary.outcome, Outcome::Ok);
}

#[test]
fn a_rescuer_has_no_outputs_of_what_failed() {
    let tasks = vec![task("a"), rescuing("clean", &["a"])];
    let ran = World::of(tasks, |step| {
        let mut reply = ends(match step.subject {
            Subject::Task(0) => Outcome::Failed,
            _ => Outcome::Ok,
        });
        reply.finished.outputs = json(r#"{"left": 1}"#);
        reply
    })
    .run();
    assert_eq!(ran.calls[1].step.deps, json("{}"));
}

#[test]
fn outputs_and_stack_of_a_run_have_a_budget_together() {
    // Each leaves half a mebibyte as output and replaces as much in the stack, which counts once.
    let tasks: Vec<Task> = (0..300).map(|index| task(&format!("t{index}"))).collect();
    let ran = World::of(tasks, |_| {
        let mut reply = ends(Outcome::Ok);
        let text = Value::Text("x".repeat(512 << 10));
        let map = |key: &str| Value::Map([(key.to_owned(), text.clone())].into());
        reply.finished.outputs = map("big");
        reply.finished.stack = map("same");
        reply
    })
    .run();
    let failed = ran
        .summary
        .outcomes
        .iter()
        .position(|outcome| *outcome == Some(Outcome::Failed));
    // 126.5 MiB of outputs, what is in the stack, and what another task would set there.
    assert_eq!(failed, Some(253));
    let ended = &ran.finished()[253];
    assert!(ended.contains("more than 128 MiB"), "{ended}");
    assert!(ran.summary.outputs.weight() <= 128 << 20);
}
