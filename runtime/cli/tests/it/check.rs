//! `check` and `plan --quiet`: nothing but what is wrong.

use serde_json::{Value, json};

use crate::program::Program;

#[test]
fn a_file_that_is_fine_is_told_nothing() {
    let program = Program::new();
    let file = "examples/site/workflow.sloth";
    for arguments in [
        &["check", file, "examples/hello/workflow.sloth"][..],
        &["plan", "-q", file],
    ] {
        let ended = program.run(arguments);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    }
}

#[test]
fn every_file_is_checked_and_each_mistake_has_its_place() {
    let program = Program::new();
    let method = program.write("method.sloth", "\n\ntask('t'):depend_on('x')");
    let syntax = program.write("syntax.sloth", "local x = = 1");
    let fine = program.task("log.info('x')");
    let none = program.path("none.sloth");
    let ended = program.run(&["check", &method, &fine, &none, &syntax]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ended.stderr);
    assert!(
        lines[0].starts_with(&format!("{method}:3: unknown method `depend_on`")),
        "{}",
        lines[0]
    );
    assert!(lines[1].starts_with(&format!("{none}: ")) && lines[1].contains("No such file"));
    assert!(
        lines[2].starts_with(&format!("{syntax}:1: ")),
        "{}",
        lines[2]
    );
}

#[test]
fn problems_are_listed_as_json() {
    let program = Program::new();
    let bad = program.write("bad.sloth", "\nfs.read('/etc/passwd')");
    let told = |arguments: &[&str], code: i32| -> Value {
        let ended = program.run(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(code), ""));
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let none = program.path("none.sloth");
    let graph = program.write(
        "graph.sloth",
        "workflow.define('w'):tasks({\n  task('a'):depends_on('b'):command('true') })",
    );
    let json = told(&["check", &graph, "--output", "json"], 2);
    assert_eq!(json["problems"][0]["line"], 2);
    assert_eq!(
        json["problems"][0]["message"],
        "task `a` depends on `b`, which is not in this workflow"
    );
    let json = told(&["check", &bad, &none, "--output", "json"], 2);
    assert_eq!(json["valid"], false);
    assert_eq!(json["problems"][0]["file"], bad);
    assert_eq!(json["problems"][0]["line"], 2);
    assert!(
        json["problems"][0]["message"]
            .as_str()
            .unwrap()
            .contains("while the file")
    );
    assert_eq!(json["problems"][1]["line"], Value::Null);
    let fine = program.task("log.info('x')");
    let json = told(&["check", &fine, "--output", "json"], 0);
    assert_eq!(json, json!({ "valid": true, "problems": [] }));
}

#[test]
fn values_reach_the_files_and_their_own_mistakes_are_told_once() {
    let program = Program::new();
    let file = program.write(
        "w.sloth",
        "assert(values.name == 'x', 'no name')
         workflow.define(values.name):tasks({ task('t'):command(function() end) })",
    );
    assert_eq!(program.run(&["check", &file]).code, Some(2));
    assert_eq!(
        program.run(&["check", &file, "--var", "name=x"]).code,
        Some(0)
    );
    let values = program.write("v.yaml", "name: x\n");
    assert_eq!(program.run(&["check", &file, "-v", &values]).code, Some(0));
    let ended = program.run(&["check", &file, &file, "--var", "name"]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr.matches("key=value").count(),
        1,
        "{}",
        ended.stderr
    );
}

#[test]
fn what_a_file_says_reaches_the_terminal_escaped() {
    let program = Program::new();
    let file = program.write("w.sloth", "error('\\27[2Jone\\ntwo')");
    let ended = program.run(&["check", &file]);
    assert_eq!(ended.code, Some(2));
    assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
    assert!(ended.stderr.contains("one\n  two"), "{}", ended.stderr);
}
