//! The history of this machine's runs, and the commands that show it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{Ended, Program};

fn told(program: &Program, arguments: &[&str]) -> Value {
    let ended = program.run(&[arguments, &["--output", "json"]].concat());
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The id of the run that was begun last.
fn last(program: &Program) -> String {
    let runs = told(program, &["runs", "list"]);
    runs["runs"][0]["id"].as_str().unwrap().to_owned()
}

fn run(program: &Program, body: &str) -> Ended {
    let file = program.task(body);
    program.run_file(&file, &["--output", "json"])
}

#[test]
fn a_run_is_listed_shown_and_told_again_as_it_was() {
    let program = Program::keeping();
    let ended = run(
        &program,
        "log.info('hello') stack.set_output('url', 'x') return true, 'done', { n = 7 }",
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let listed = &told(&program, &["runs", "list"])["runs"][0];
    let id = listed["id"].as_str().unwrap();
    assert_eq!(listed["id"], ended.events()[0]["run"]);
    assert_eq!(
        (&listed["stack"], &listed["workflow"], &listed["state"]),
        (&json!("s"), &json!("w"), &json!("succeeded"))
    );
    assert_eq!(listed["counts"]["ok"], 1);
    assert_eq!(listed["targets"], json!(["local"]));
    let shown = told(&program, &["runs", "show", id]);
    assert_eq!(
        shown["steps"],
        json!([{ "task": "t", "target": "local", "attempt": 1, "running": false, "outcome": "ok", "message": shown["steps"][0]["message"] }])
    );
    let finished = ended.events().pop().unwrap();
    assert_eq!(shown["outputs"], finished["outputs"]);
    let again = program.run(&["runs", "logs", id, "--output", "json"]);
    let without_time = |ended: &Ended| -> Vec<Value> {
        let mut events = ended.events();
        for event in &mut events {
            event.as_object_mut().unwrap().remove("time");
        }
        events
    };
    assert_eq!(without_time(&again), without_time(&ended));
}

#[test]
fn text_fits_the_page_and_is_harmless() {
    let program = Program::keeping();
    let name = format!("w\u{1b}[2J{}", "x".repeat(100));
    let file = program.write(
        "w.sloth",
        format!(
            "workflow.define({name:?}):tasks({{ task('t'):command(function() \
             log.info('said') error('no\\27[2J') end):build() }})"
        )
        .replace("\\u{1b}", "\\27"),
    );
    assert_eq!(program.run_file(&file, &["--check"]).code, Some(1));
    let id = last(&program);
    for command in [vec!["runs", "list"], vec!["runs", "show", &id]] {
        let ended = program.run(&command);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains("failed"), "{}", ended.stdout);
        for line in ended.stdout.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert!(!line.contains('\u{1b}'), "{line:?}");
        }
    }
    let logs = program.run(&["runs", "logs", &id]);
    assert!(logs.stdout.contains("│ said"), "{}", logs.stdout);
    assert!(!logs.stdout.contains('\u{1b}'), "{}", logs.stdout);
}

#[test]
fn what_programs_print_is_told_again_also_where_they_succeed() {
    let program = Program::keeping();
    let file = program.task("exec.run('printf printed')");
    let policy = program.policy("process.shell = true\nprocess.run = ['/bin/sh -c **', 'sh -c **', 'printf **']\nfiles.read = ['/**']");
    let ended = program.run_file(&file, &["--policy", &policy]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(!ended.stdout.contains("│ printed"), "{}", ended.stdout);
    let logs = program.run(&["runs", "logs", &last(&program)]);
    assert!(logs.stdout.contains("│ printed"), "{}", logs.stdout);
}

#[test]
fn runs_without_history_leave_none() {
    let program = Program::keeping();
    let file = program.task("return true");
    let ended = program.run_file(&file, &["--no-history"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!program.data().join("local.db").exists());
    assert_eq!(told(&program, &["runs", "list"]), json!({ "runs": [] }));
    assert!(!program.data().join("local.db").exists());
    let missing = program.run(&["runs", "show", "4f"]);
    assert_eq!(missing.code, Some(1));
    assert_eq!(
        missing.stderr,
        "sloth-runner: there is no run 4f; sloth-runner runs list shows those that are kept\n"
    );
}

#[test]
fn runs_are_asked_for_by_stack_state_and_number() {
    let program = Program::keeping();
    for body in ["return true", "error('no')", "return true"] {
        run(&program, body);
    }
    let count = |arguments: &[&str]| {
        let runs = told(&program, &[&["runs", "list"], arguments].concat());
        runs["runs"].as_array().unwrap().len()
    };
    assert_eq!(count(&[]), 3);
    assert_eq!(count(&["--state", "failed"]), 1);
    assert_eq!(count(&["--limit", "2"]), 2);
    assert_eq!(count(&["--stack", "other"]), 0);
    let since = program.run(&["runs", "logs", &last(&program), "--since", "soon"]);
    assert_eq!(since.code, Some(2));
    let none = program.run(&[
        "runs",
        "logs",
        &last(&program),
        "--since",
        "0s",
        "--output",
        "json",
    ]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
}

#[test]
fn one_who_follows_exits_as_the_run_did() {
    let program = Program::keeping();
    let write = program.path("made");
    let write = format!("file_ops.copy({{content = 'x', dest = {write:?}}})");
    let cases = [
        ("return true", vec![], 0),
        ("error('no')", vec![], 1),
        ("exec.run({'true'})", vec![], 3),
        (write.as_str(), vec!["--check"], 5),
    ];
    let policy = program.policy("files.write = ['/**']\nfiles.read = ['/**']");
    for (body, more, code) in cases {
        let file = program.task(body);
        let arguments = [more, vec!["--policy", &policy]].concat();
        let ended = program.run_file(&file, &arguments);
        assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
        let id = last(&program);
        let followed = program.run(&["runs", "logs", &id, "-f"]);
        assert_eq!(followed.code, Some(code), "{body}: {}", followed.stderr);
        // What is not shown counts too.
        let since = program.run(&["runs", "logs", &id, "-f", "--since", "0s"]);
        assert_eq!(since.code, Some(code), "{body}");
        assert_eq!(program.run(&["runs", "logs", &id]).code, Some(0));
    }
}

#[test]
fn a_history_that_cannot_be_written_is_a_warning_and_the_run_goes_on() {
    let program = Program::keeping();
    std::fs::write(program.data().join("local.db"), "garbage ".repeat(1000)).unwrap();
    let ended = run(&program, "return true");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("this run is not in the history")
            && ended.stderr.contains("is damaged"),
        "{}",
        ended.stderr
    );
    assert_eq!(program.run(&["runs", "list"]).code, Some(1));
}

#[test]
fn a_run_whose_process_was_killed_has_failed_and_one_who_follows_is_let_go() {
    let program = Program::keeping();
    let file = program.task("log.info('begun') while true do end");
    let mut child = program
        .command(&["run", "s", "-f", &file, "--yes", "--output", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .find(|line| line.as_ref().unwrap().contains("begun"))
        .unwrap()
        .unwrap();
    // It is written down beside the run, a moment later.
    let running = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let runs = told(&program, &["runs", "list", "--state", "running"]);
        runs["runs"][0]["events"].as_u64() == Some(3)
    });
    assert!(running, "{}", told(&program, &["runs", "list"]));
    let id = last(&program);
    let follower = program
        .command(&["runs", "logs", &id, "-f"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let watched = Ended::from(follower.wait_with_output().unwrap());
    assert_eq!(watched.code, Some(1));
    assert!(
        watched
            .stdout
            .contains("error: the process that ran this ended in the middle of it"),
        "{}",
        watched.stdout
    );
    let shown = told(&program, &["runs", "show", &id]);
    assert_eq!(
        (&shown["state"], &shown["counts"]["failed"]),
        (&json!("failed"), &json!(1))
    );
}
