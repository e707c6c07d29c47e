//! Secrets that the master hands to agents.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::house::{Fleet, of};

const SECRET: &str = "correct horse battery staple";

/// Sets a secret of the fleet; gives what was said and the exit code.
fn set(fleet: &Fleet, name: &str, agents: &str) -> (String, Option<i32>) {
    let arguments = ["secret", "set", name, "--fleet", "--agents", agents];
    let mut child = fleet
        .master
        .command(&[arguments.as_slice(), &["--master", &fleet.address]].concat())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(SECRET.as_bytes())
        .unwrap();
    let ended = child.wait_with_output().unwrap();
    (
        String::from_utf8(ended.stderr).unwrap(),
        ended.status.code(),
    )
}

/// What a step on an agent came to that tries a secret.
fn outcome(events: &[Value], target: &str) -> (String, String) {
    let steps = of(events, "step-finished");
    let step = steps.iter().find(|step| step["target"] == target).unwrap();
    let text = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
    (text("outcome"), text("message"))
}

#[test]
fn a_secret_goes_to_the_agents_that_it_is_for_and_that_grant_it_and_is_never_shown() {
    let mut fleet = Fleet::start();
    let grants = "process.run = ['printenv *']\nprocess.env = ['TOKEN']\n\
                  secrets.env = { token = ['/usr/bin/printenv'] }";
    fleet.agent("a", grants);
    fleet.agent("b", grants);
    fleet.agent("c", "process.run = ['printenv *']\nprocess.env = ['TOKEN']");
    let file = fleet.master.write(
        "w.sloth",
        r#"workflow.define("w"):tasks({ task("t"):command(function()
             local ran = exec.run("printenv TOKEN", { env = { TOKEN = secret("token") } })
             return ran.success, ran.message, { said = ran.stdout, length = #ran.stdout }
           end) })"#,
    );
    // What an agent says of itself gives it nothing: both say that they have the role `web`.
    assert_eq!(set(&fleet, "token", "role=web").1, Some(0));
    let wanted = [
        "--delegate-to",
        "a",
        "--delegate-to",
        "b",
        "--delegate-to",
        "c",
    ];
    let (events, _, code) = fleet.run(&file, &wanted);
    assert_ne!(code, Some(0));
    assert_eq!(outcome(&events, "a").0, "failed");
    assert_eq!(set(&fleet, "token", "name=a or name=c").1, Some(0));
    let (events, said, _) = fleet.run(&file, &wanted);
    let (ended, message) = outcome(&events, "a");
    assert_eq!(ended, "changed", "{message} {said}");
    let given = &events.last().unwrap()["outputs"]["a"]["tasks"]["t"];
    assert_eq!(given["said"], "<secret token>\n", "{given}");
    assert_eq!(outcome(&events, "b").0, "failed");
    assert!(
        outcome(&events, "b").1.contains("token"),
        "{:?}",
        outcome(&events, "b")
    );
    assert_eq!(outcome(&events, "c").0, "denied");
    // Nowhere is it kept in the clear.
    for folder in [fleet.master.data()]
        .into_iter()
        .chain(fleet.agents.iter().map(|agent| agent.program.data()))
    {
        let found = std::process::Command::new("grep")
            .args(["-rlF", SECRET])
            .arg(&folder)
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&found.stdout),
            "",
            "{}",
            folder.display()
        );
    }
    let listed = fleet.ask(&["secret", "list", "--fleet"]).0;
    assert!(listed.starts_with("token  set 2"), "{listed}");
    assert!(listed.ends_with("  for name=a or name=c\n"), "{listed}");
    // A run on the master's own machine has no part in them.
    assert_eq!(fleet.ask(&["secret", "list"]).0, "there are no secrets\n");
    assert_eq!(
        fleet.ask(&["secret", "remove", "token", "--fleet"]).2,
        Some(0)
    );
    assert_eq!(
        fleet.ask(&["secret", "remove", "token", "--fleet"]).2,
        Some(2)
    );
    assert_eq!(
        outcome(&fleet.run(&file, &["--delegate-to", "a"]).0, "a").0,
        "failed"
    );
}

#[test]
fn a_step_that_declares_something_is_handed_no_secret_that_it_does_not_declare() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "secrets.reveal = ['*']");
    set(&fleet, "token", "*");
    let body = |declared: &str| {
        format!(
            r#"workflow.define("w"):tasks({{ task("t"){declared}:command(function()
                 return secret.reveal("token") ~= nil
               end) }})"#
        )
    };
    for (declared, expected) in [
        ("", "ok"),
        (
            ":capabilities({ secrets = { reveal = { 'token' } } })",
            "ok",
        ),
        (
            ":capabilities({ secrets = { reveal = { 'other' } } })",
            "denied",
        ),
    ] {
        let file = fleet.master.write("w.sloth", body(declared));
        let (events, said, _) = fleet.run(&file, &["--delegate-to", "a"]);
        assert_eq!(outcome(&events, "a").0, expected, "{declared} {said}");
    }
}

#[test]
fn only_admins_set_secrets_and_mistakes_are_named() {
    let fleet = Fleet::start();
    for (arguments, expected) in [
        (
            ["secret", "set", "x", "--fleet"].as_slice(),
            "say which agents",
        ),
        (
            &["secret", "rotate-key", "--fleet"],
            "--data-dir FOLDER/fleet",
        ),
        (&["secret", "set", "x", "--agents", "*"], "--fleet"),
    ] {
        let (_, said, code) = fleet.ask(arguments);
        assert_ne!(code, Some(0));
        assert!(said.contains(expected), "{said}");
    }
    let (said, code) = set(&fleet, "x", "role=");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the selector"), "{said}");
}
