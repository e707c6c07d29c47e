//! `init`: what it writes runs as it is.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::program::{Ended, Program};

/// Runs the command that `init` names, in the folder it made.
fn run_as_told(program: &Program, folder: &str, name: &str, more: &[&str]) -> Ended {
    let mut arguments = vec![
        "run",
        name,
        "-f",
        "workflow.sloth",
        "--policy",
        "policy.toml",
    ];
    arguments.extend(more);
    let mut command = program.command(&arguments);
    command.current_dir(folder).output().unwrap().into()
}

#[test]
fn what_it_writes_runs_and_changes_nothing_the_second_time() {
    let program = Program::new();
    let ended = program.run(&["init", "backup", "--dir", &program.path("")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .contains("sloth-runner run backup -f workflow.sloth --policy policy.toml --yes"),
        "{}",
        ended.stdout
    );
    let folder = program.path("backup");
    let run = |more: &[&str]| run_as_told(&program, &folder, "backup", more);
    let checked = run(&["--check", "--diff"]);
    assert_eq!(
        checked.code,
        Some(5),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    let first = run(&["--yes"]);
    assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
    let written = program.path("backup/out/greeting.txt");
    assert_eq!(
        std::fs::read_to_string(&written).unwrap(),
        "Hello from backup.\n"
    );
    let second = run(&["--yes", "--output", "json"]);
    assert_eq!(second.code, Some(0), "{}{}", second.stdout, second.stderr);
    assert_eq!(second.events().last().unwrap()["outcome"], "ok");
    let with_values = run(&["--yes", "-v", "values.yaml", "--var", "greeting=Hi"]);
    assert_eq!(with_values.code, Some(0), "{}", with_values.stdout);
    assert_eq!(
        std::fs::read_to_string(&written).unwrap(),
        "Hi from backup.\n"
    );
    assert_eq!(
        program
            .run(&["check", &format!("{folder}/workflow.sloth")])
            .code,
        Some(0)
    );
}

#[test]
fn nobody_else_can_change_the_policy_it_writes() {
    let program = Program::new();
    let folder = program.path("");
    assert_eq!(program.run(&["init", "a", "--dir", &folder]).code, Some(0));
    let policy = program.path("a/policy.toml");
    let mode = std::fs::metadata(&policy).unwrap().permissions().mode();
    assert_eq!(mode & 0o022, 0, "{mode:o}");
    let checked = program.run(&["policy", "check", &policy]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(!checked.stdout.contains("amounts to"), "{}", checked.stdout);
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let program = Program::new();
    let folder = program.path("");
    std::fs::create_dir(program.path("a")).unwrap();
    // A link that leads nowhere stands there too.
    std::os::unix::fs::symlink("/nowhere", program.path("a/values.yaml")).unwrap();
    let ended = program.run(&["init", "a", "--dir", &folder]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("values.yaml is there already"),
        "{}",
        ended.stderr
    );
    assert!(!std::path::Path::new(&program.path("a/workflow.sloth")).exists());
    std::fs::remove_file(program.path("a/values.yaml")).unwrap();
    std::fs::write(program.path("a/notes"), "kept").unwrap();
    assert_eq!(program.run(&["init", "a", "--dir", &folder]).code, Some(0));
    assert_eq!(program.run(&["init", "a", "--dir", &folder]).code, Some(2));
    assert_eq!(
        std::fs::read_to_string(program.path("a/notes")).unwrap(),
        "kept"
    );
}

#[test]
fn a_policy_names_the_place_that_a_link_leads_to() {
    let program = Program::new();
    std::fs::create_dir(program.path("real")).unwrap();
    std::os::unix::fs::symlink(program.path("real"), program.path("link")).unwrap();
    let ended = program.run(&[
        "init",
        "a",
        "--dir",
        &program.path("link"),
        "--output",
        "json",
    ]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["folder"], program.path("link/a"));
    assert_eq!(told["files"].as_array().unwrap().len(), 3);
    let ended = run_as_told(&program, &program.path("link/a"), "a", &["--yes"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn names_and_places_that_would_need_quoting_are_refused() {
    let program = Program::new();
    let folder = program.path("");
    std::fs::create_dir(program.path("odd[1]")).unwrap();
    for (name, dir, said) in [
        ("../up", folder.as_str(), "cannot name a workflow's folder"),
        (".hidden", &folder, "cannot name a workflow's folder"),
        ("a", &program.path("none"), "make it first"),
        (
            "a",
            &program.path("odd[1]"),
            "has a meaning of its own in a policy",
        ),
    ] {
        let ended = program.run(&["init", name, "--dir", dir]);
        assert_eq!(ended.code, Some(2), "{name} {dir}");
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}
