//! Every folder of `examples/` with a workflow is run, and its events are those it says it has.
//! `SLOTH_ACCEPT=1` writes them anew.

use crate::program::{Ended, Program, root};
use crate::settled::{Settled, difference, told_once};

fn run(name: &str, more: &[&str]) -> Ended {
    let folder = format!("examples/{name}");
    let (file, policy) = (
        format!("{folder}/workflow.sloth"),
        format!("{folder}/policy.toml"),
    );
    let mut arguments = vec![
        "run", name, "-f", &file, "--policy", &policy, "--yes", "--output", "json",
    ];
    arguments.extend(more);
    Program::new().run(&arguments)
}

fn check(name: &str, code: i32, ended: &Ended) {
    assert_eq!(
        ended.code,
        Some(code),
        "{name}: {}{}",
        ended.stdout,
        ended.stderr
    );
    let path = root().join("examples").join(name).join("expected.jsonl");
    let settled = told_once(&Settled::default().lines(ended));
    if std::env::var_os("SLOTH_ACCEPT").is_some() {
        std::fs::write(&path, settled.join("\n") + "\n").unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected.lines().eq(settled.iter().map(String::as_str)),
        "{name}: {}",
        difference(&expected, &settled)
    );
}

#[test]
fn hello_greets() {
    check("hello", 0, &run("hello", &[]));
}

#[test]
fn site_changes_once_and_checks_without_touching() {
    let place = std::path::Path::new("/tmp/sloth-site");
    let _ = std::fs::remove_dir_all(place);
    let checked = run("site", &["--check", "--diff"]);
    assert_eq!(
        checked.code,
        Some(5),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    assert!(!place.exists(), "check mode touched the disk");
    assert!(
        checked.stdout.contains("+<h1>A site</h1>"),
        "{}",
        checked.stdout
    );
    check("site", 0, &run("site", &[]));
    let again = run("site", &[]);
    assert_eq!(again.code, Some(0));
    let finished: Vec<_> = again
        .events()
        .into_iter()
        .filter(|e| e["event"] == "step-finished")
        .collect();
    assert_eq!(finished.len(), 5);
    assert!(
        finished.iter().all(|event| event["outcome"] == "ok"),
        "{}",
        again.stdout
    );
    assert_eq!(run("site", &["--check", "--diff"]).code, Some(0));
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn denied_names_the_line_and_the_line_makes_it_pass() {
    let ended = run("denied", &[]);
    check("denied", 3, &ended);
    let denial = ended
        .events()
        .into_iter()
        .rfind(|event| event["event"] == "denial")
        .unwrap();
    assert_eq!(denial["capability"], "files.read");
    assert_eq!(denial["subject"], "/etc/motd");
    let line = denial["remedy"].as_str().unwrap().replacen("] ", "]\n", 1);
    let program = Program::new();
    // The file the second task reads is part of every Debian system; elsewhere it is missing, and
    // then the read fails softly and is no denial any more either.
    let policy = program.write("policy.toml", format!("version = 1\n{line}\n"));
    let ended = program.run(&[
        "run",
        "denied",
        "-f",
        "examples/denied/workflow.sloth",
        "--policy",
        &policy,
        "--yes",
    ]);
    assert_ne!(ended.code, Some(3), "{}", ended.stdout);
}

#[test]
fn runaway_is_ended_by_each_limit() {
    let ended = run("runaway", &[]);
    check("runaway", 1, &ended);
    let limit = 1000 + 200;
    for event in ended
        .events()
        .iter()
        .filter(|event| event["event"] == "step-finished")
    {
        assert!(
            event["task"] == "after" || event["outcome"] != "ok",
            "{event}"
        );
        // A machine that does much else may be late; the limit itself is shown by the outcome.
        assert!(
            event["duration-ms"].as_u64().unwrap() < limit * 5,
            "{event}"
        );
    }
}

#[test]
fn every_example_has_its_test() {
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("workflow.sloth").exists() {
            continue;
        }
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(
            ["hello", "site", "denied", "runaway"].contains(&name.as_str()),
            "{name}"
        );
        assert!(folder.join("policy.toml").exists() && folder.join("expected.jsonl").exists());
    }
}
