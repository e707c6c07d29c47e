//! Every folder of `examples/` with a workflow is run, and its events are those it says it has.
//! `SLOTH_ACCEPT=1` writes them anew.

use crate::program::{Ended, Program, root};
use crate::settled::{Settled, difference, listing, told_once};

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
    compare(name, code, ended, &Settled::default());
}

/// For tasks that run beside each other, whose events have no order among them.
fn check_by_task(name: &str, code: i32, ended: &Ended) {
    compare(name, code, ended, &Settled::default().by_task(true));
}

fn compare(name: &str, code: i32, ended: &Ended, settled: &Settled) {
    assert_eq!(
        ended.code,
        Some(code),
        "{name}: {}{}",
        ended.stdout,
        ended.stderr
    );
    let path = root().join("examples").join(name).join("expected.jsonl");
    let settled = told_once(&settled.lines(ended));
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

fn outcomes(ended: &Ended) -> Vec<(String, String)> {
    let events = ended.events().into_iter();
    let finished = events.filter(|event| event["event"] == "step-finished");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    finished
        .map(|event| (text(&event["task"]), text(&event["outcome"])))
        .collect()
}

fn changed(ended: &Ended) -> Vec<String> {
    let changed = outcomes(ended).into_iter();
    changed
        .filter(|(_, outcome)| outcome == "changed")
        .map(|(task, _)| task)
        .collect()
}

/// Runs with `--check`, which is to find changes to make, and looks whether it made one.
fn check_mode_touches_nothing(name: &str, more: &[&str]) {
    let place = format!("/tmp/sloth-{name}");
    let place = std::path::Path::new(&place);
    let before = listing(place);
    let mut arguments = vec!["--check"];
    arguments.extend(more);
    let checked = run(name, &arguments);
    assert_eq!(
        checked.code,
        Some(5),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    assert_eq!(before, listing(place), "check mode touched the disk");
}

#[test]
fn blue_green_switches_over_and_back() {
    let place = std::path::Path::new("/tmp/sloth-blue-green");
    let _ = std::fs::remove_dir_all(place);
    check_mode_touches_nothing("blue-green", &[]);
    check("blue-green", 0, &run("blue-green", &[]));
    let again = run("blue-green", &[]);
    assert_eq!(again.code, Some(0));
    assert!(changed(&again).is_empty(), "{}", again.stdout);

    let live = || std::fs::read_link(place.join("current")).unwrap();
    assert_eq!(live(), place.join("releases/1.0.0"));
    let next = run("blue-green", &["--var", "version=1.1.0"]);
    assert_eq!(next.code, Some(0), "{}", next.stdout);
    assert_eq!(live(), place.join("releases/1.1.0"));
    let broken = run(
        "blue-green",
        &["--var", "version=1.2.0", "--var", "broken:=true"],
    );
    assert_eq!(broken.code, Some(1), "{}", broken.stdout);
    assert_eq!(live(), place.join("releases/1.1.0"));
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn nightly_does_its_work_once_and_reports() {
    let place = std::path::Path::new("/tmp/sloth-nightly");
    let _ = std::fs::remove_dir_all(place);
    let write = |path: &str, content: &str| {
        let path = place.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    for (path, content) in [
        ("log/app.log", "x".repeat(3000).as_str()),
        ("log/app.log.1", "older"),
        ("log/app.log.2", "oldest"),
        ("log/web.log", "short"),
        ("temp/old", ""),
        ("temp/new", ""),
        ("data/a", "a\n"),
        (
            "data/SHA256SUMS",
            "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7  a\n",
        ),
    ] {
        write(path, content);
    }
    let old = std::fs::File::options()
        .write(true)
        .open(place.join("temp/old"));
    let days = std::time::Duration::from_hours(10 * 24);
    old.unwrap()
        .set_modified(std::time::SystemTime::now() - days)
        .unwrap();

    check_mode_touches_nothing("nightly", &["--var", "day=Sunday"]);
    check("nightly", 0, &run("nightly", &["--var", "day=Sunday"]));
    let again = run("nightly", &["--var", "day=Monday"]);
    // The report says what this run did, which was nothing.
    assert_eq!(changed(&again), ["report"], "{}", again.stdout);
    let third = run("nightly", &["--var", "day=Monday"]);
    assert!(changed(&third).is_empty(), "{}", third.stdout);
    let skipped = ("verify".to_owned(), "skipped".to_owned());
    assert!(outcomes(&third).contains(&skipped), "not on a Monday");

    write("maintenance", "");
    let stopped = run("nightly", &[]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stdout);
    assert!(changed(&stopped).is_empty(), "{}", stopped.stdout);
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn fan_out_build_packs_what_its_builds_left() {
    let place = std::path::Path::new("/tmp/sloth-fan-out-build");
    let _ = std::fs::remove_dir_all(place);
    check_mode_touches_nothing("fan-out-build", &[]);
    let first = run("fan-out-build", &[]);
    check_by_task("fan-out-build", 0, &first);
    let before = listing(place);
    let again = run("fan-out-build", &[]);
    // What is built is built in folders of the steps' own; the release is the one that is there.
    let builds = changed(&again);
    assert!(!builds.contains(&"package".to_owned()), "{}", again.stdout);
    assert_eq!(builds.len(), 4, "{builds:?}");
    assert_eq!(before, listing(place));
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
            [
                "hello",
                "site",
                "denied",
                "runaway",
                "blue-green",
                "nightly",
                "fan-out-build"
            ]
            .contains(&name.as_str()),
            "{name}"
        );
        assert!(folder.join("policy.toml").exists() && folder.join("expected.jsonl").exists());
    }
}
