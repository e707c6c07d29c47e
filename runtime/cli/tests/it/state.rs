//! What a node keeps from run to run, and the commands that show it.

use serde_json::{Value, json};

use crate::program::{Ended, Program};

const ALL: &str = "state.read = ['*']\nstate.write = ['*']";

/// Runs a task under a policy, in the stack `s`.
fn task(program: &Program, policy: &str, body: &str) -> Ended {
    let (file, policy) = (program.task(body), program.policy(policy));
    program.run_file(&file, &["--policy", &policy, "--output", "json"])
}

fn told(program: &Program, arguments: &[&str]) -> Value {
    let ended = program.run(&[arguments, &["--output", "json"]].concat());
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn what_one_run_keeps_the_next_and_the_operator_read() {
    let program = Program::keeping();
    let ended = task(
        &program,
        ALL,
        "state.set('app/version', '1.2') state.increment('app/runs')",
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let ended = task(
        &program,
        ALL,
        "assert(state.get('app/version') == '1.2') assert(state.increment('app/runs') == 2)",
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert_eq!(
        told(&program, &["state", "list"]),
        json!({ "entries": [
            { "key": "app/runs", "value": 2, "expires": null },
            { "key": "app/version", "value": "1.2", "expires": null },
        ] })
    );
    assert_eq!(
        program.run(&["state", "get", "app/version"]).stdout,
        "1.2\n"
    );
    assert_eq!(
        program.run(&["state", "list", "app/r*"]).stdout,
        "app/runs  2\n"
    );
}

#[test]
fn the_operator_sets_what_workflows_read() {
    let program = Program::keeping();
    let set = told(
        &program,
        &[
            "state",
            "set",
            "ports",
            "[80, 443]",
            "--json",
            "--ttl",
            "1h",
        ],
    );
    assert_eq!(set["value"], json!([80, 443]));
    assert!(set["expires"].as_str().unwrap().ends_with('Z'));
    assert_eq!(program.run(&["state", "set", "name", "[80"]).code, Some(0));
    let body = "assert(state.get('ports')[2] == 443 and state.get('name') == '[80')";
    assert_eq!(task(&program, ALL, body).code, Some(0));
    assert_eq!(
        told(&program, &["state", "delete", "name"]),
        json!({ "deleted": 1 })
    );
    assert_eq!(
        told(&program, &["state", "clear", "*"]),
        json!({ "deleted": 1 })
    );
    assert_eq!(told(&program, &["state", "list"]), json!({ "entries": [] }));
}

#[test]
fn mistakes_are_told_apart_by_their_exit_codes() {
    let program = Program::keeping();
    for (code, arguments, said) in [
        (1, &["state", "get", "none"][..], "there is no key `none`"),
        (
            1,
            &["state", "delete", "no\u{1b}ne"],
            "there is no key `no\\u{1b}ne`",
        ),
        (
            2,
            &["state", "set", "k", "{", "--json"],
            "the value is not JSON",
        ),
        (
            2,
            &["state", "set", "k", "null", "--json"],
            "null is no value",
        ),
        (2, &["state", "set", "k", "v", "--ttl", "soon"], "--ttl"),
        (2, &["state", "set", "", "v"], "the key `` is empty"),
        (2, &["state", "list", "[a"], "the pattern `[a`"),
        (1, &["stack", "show", "none"], "there is no stack `none`"),
        (1, &["stack", "delete", "none"], "there is no stack `none`"),
    ] {
        let ended = program.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(said),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    }
}

#[test]
fn a_value_of_a_workflow_reaches_a_terminal_escaped() {
    let program = Program::keeping();
    let body = "state.set('k', 'a\\27[2Jb\\nc')";
    assert_eq!(task(&program, ALL, body).code, Some(0));
    assert_eq!(
        program.run(&["state", "get", "k"]).stdout,
        "a\\u{1b}[2Jb\nc\n"
    );
    assert!(!program.run(&["state", "list"]).stdout.contains('\u{1b}'));
}

#[test]
fn a_stack_keeps_what_its_runs_set_and_a_failing_one_too() {
    let program = Program::keeping();
    let set = "stack.set_output('url', 'x') stack.register_resource({ type = 'a', name = 'b', module = 'c' }) error('late')";
    let ended = task(&program, "", set);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert_eq!(
        ended.events().last().unwrap()["outputs"]["stack"]["url"],
        "x"
    );
    assert_eq!(
        task(&program, "", "assert(stack.get_output('url') == 'x')").code,
        Some(0)
    );
    let listed = told(&program, &["stack", "list"]);
    assert_eq!(listed["stacks"][0]["name"], "s");
    assert_eq!(listed["stacks"][0]["outputs"], 2);
    let shown = told(&program, &["stack", "show", "s"]);
    assert_eq!(shown["outputs"], json!({ "url": "x" }));
    assert_eq!(shown["resources"]["a/b"]["state"], "created");
    assert_eq!(
        program.run(&["stack", "show", "s"]).stdout,
        "url = \"x\"\nresource a/b: created\n"
    );
    assert_eq!(
        told(&program, &["stack", "delete", "s", "url"]),
        json!({ "deleted": 1 })
    );
    assert_eq!(program.run(&["stack", "delete", "s", "url"]).code, Some(1));
    assert_eq!(
        told(&program, &["stack", "delete", "s"]),
        json!({ "deleted": 1 })
    );
    assert_eq!(told(&program, &["stack", "list"]), json!({ "stacks": [] }));
}

#[test]
fn another_stack_sees_nothing_of_it() {
    let program = Program::keeping();
    assert_eq!(
        task(&program, "", "stack.set_output('url', 'x')").code,
        Some(0)
    );
    let file = program.task("assert(stack.get_output('url') == nil)");
    let ended = program.run(&["run", "other", "-f", &file, "--yes"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
}

#[test]
fn check_mode_keeps_nothing() {
    let program = Program::keeping();
    let file = program.task("state.set('k', 1) stack.set_output('o', 1)");
    let policy = program.policy(ALL);
    let ended = program.run_file(&file, &["--policy", &policy, "--check"]);
    assert_eq!(ended.code, Some(5), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("would set state k"),
        "{}",
        ended.stdout
    );
    assert_eq!(told(&program, &["state", "list"]), json!({ "entries": [] }));
    assert_eq!(told(&program, &["stack", "list"]), json!({ "stacks": [] }));
}

#[test]
fn events_of_a_workflow_are_told_to_people_in_one_line() {
    let program = Program::keeping();
    let file = program
        .task("event.dispatch('deploy.done', { text = 'a\\27b\\n', long = ('x'):rep(500) })");
    let policy = program.policy("events.emit = ['deploy.*']");
    let told = |more: &[&str]| {
        let ended = program.run_file(&file, &[&["--policy", &policy], more].concat());
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let mut lines = ended.stdout.lines();
        lines.find(|line| line.contains('»')).unwrap().to_owned()
    };
    let line = told(&[]);
    assert!(
        line.starts_with("  » emit deploy.done {\"long\":\"xxx"),
        "{line}"
    );
    assert!(line.ends_with('…') && line.chars().count() < 240, "{line}");
    assert!(told(&["--check"]).starts_with("  » would emit deploy.done"));
}

#[test]
fn the_database_is_out_of_every_steps_reach() {
    let program = Program::keeping();
    assert_eq!(task(&program, ALL, "state.set('k', 1)").code, Some(0));
    let data = program.data().to_str().unwrap().to_owned();
    let all = "files.read = ['/**']\nfiles.write = ['/**']\nfiles.delete = ['/**']";
    for file in ["node.db", "node.db-wal", "node.db-journal"] {
        for call in ["fs.read", "fs.rm", "fs.append"] {
            let ended = task(&program, all, &format!("{call}('{data}/{file}', 'x')"));
            assert_eq!(ended.code, Some(3), "{call} {file}: {}", ended.stdout);
            assert!(ended.stdout.contains("self-protection"), "{}", ended.stdout);
        }
    }
    let ended = task(
        &program,
        &format!("{all}\nprocess.run = ['cat **']"),
        &format!("local r = exec.run({{ 'cat', '{data}/node.db' }}) return r.success, r.stderr"),
    );
    assert_ne!(ended.code, Some(0), "{}", ended.stdout);
    assert!(!ended.stdout.contains("SQLite format"), "{}", ended.stdout);
}

#[test]
fn a_damaged_database_stops_a_run_before_it_begins_and_says_what_to_do() {
    let program = Program::keeping();
    let path = program.data().join("node.db");
    std::fs::write(&path, "no database ".repeat(500)).unwrap();
    let ended = task(&program, ALL, "log.info('never')");
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("node.db is damaged") && ended.stderr.contains("move it away"),
        "{}",
        ended.stderr
    );
    assert_eq!(program.run(&["state", "list"]).code, Some(1));
}

#[test]
fn runs_beside_each_other_count_without_losing_one() {
    let program = Program::keeping();
    let (file, policy) = (
        program.task("for _ = 1, 25 do assert(state.increment('n')) end"),
        program.policy(ALL),
    );
    let arguments = ["run", "s", "-f", &file, "--yes", "--policy", &policy];
    let mut runs: Vec<_> = (0..4)
        .map(|_| {
            program
                .command(&arguments)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for run in &mut runs {
        assert!(run.wait().unwrap().success());
    }
    assert_eq!(program.run(&["state", "get", "n"]).stdout, "100\n");
}
