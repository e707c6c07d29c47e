//! What a master knows of the audits of its agents.

use serde_json::Value;

use crate::house::{Fleet, of};
use crate::program::Ended;

/// An agent with some steps behind it.
fn worked() -> Fleet {
    let mut fleet = Fleet::start();
    let folder = fleet.agent("a", "files.write = ['{}/**']");
    let file = fleet.master.write(
        "w.sloth",
        format!(
            "workflow.define('w'):tasks({{ task('t'):command(function() fs.append('{folder}/log', 'x') end) }})"
        ),
    );
    for _ in 0..2 {
        let (events, said, code) = fleet.run(&file, &["--delegate-to", "a"]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(of(&events, "step-finished")[0]["outcome"], "changed");
    }
    fleet
}

/// `audit verify --against-master` on the agent's machine, with nothing but what the agent has.
fn verify(fleet: &mut Fleet, more: &[&str]) -> Ended {
    let address = fleet.address.clone();
    let given = ["audit", "verify", "--against-master", "--master", &address];
    fleet.member("a").program.run(&[&given, more].concat())
}

#[test]
fn an_agent_asks_its_master_for_itself_and_finds_what_it_told() {
    let mut fleet = worked();
    let verified = verify(&mut fleet, &[]);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    assert!(
        verified
            .stdout
            .contains("\n2 places that the master was told of, each as it was told\n"),
        "{}",
        verified.stdout
    );
    let json = verify(&mut fleet, &["--output", "json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&json["valid"], &json["known-to-master"]),
        (&true.into(), &2.into())
    );
    // An operator sees them too; an agent sees nobody else.
    let shown = fleet.ask(&["agent", "show", "a", "--output", "json"]).0;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let told = shown["audit"].as_array().unwrap();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1]["hash"].as_str().unwrap().len(), 64);
    let other = verify(&mut fleet, &["--agent", "b"]);
    assert!(
        other.stderr.contains("the agent a may ask for itself only"),
        "{}",
        other.stderr
    );
    assert_eq!(other.code, Some(3));
}

#[test]
fn an_audit_that_was_made_anew_verifies_by_itself_and_not_against_the_master() {
    let mut fleet = worked();
    fleet.kill_agent("a");
    let audit = fleet.member("a").program.data().join("audit");
    std::fs::remove_dir_all(&audit).unwrap();
    let alone = fleet.member("a").program.run(&["audit", "verify"]);
    assert_eq!(alone.code, Some(0), "{}", alone.stdout);
    let verified = verify(&mut fleet, &[]);
    assert_eq!(verified.code, Some(1), "{}", verified.stdout);
    assert!(
        verified
            .stdout
            .contains("are missing at the end, of which the master was told"),
        "{}",
        verified.stdout
    );
    // Where there is no agent, one has to be named.
    let other = fleet.master.run(&["audit", "verify", "--against-master"]);
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("--agent"), "{}", other.stderr);
}
