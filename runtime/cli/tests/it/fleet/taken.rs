//! A master that was taken over, with its database, its keys and its admin's certificate: what whoever has it gets done.

use std::process::Stdio;

use crate::house::{Fleet, until};

/// Both workflows have the same names: what differs is what they do.
fn workflow(folder: &str, there: &str, here: &str) -> String {
    format!(
        r#"workflow.define("w"):tasks({{
             task("there"):delegate_to("a"):command(function() {there} end),
             task("here"):depends_on("there"):delegate_to("local"):command(function()
               assert(fs.append("{folder}/here", "{here}\n"))
             end),
           }})"#
    )
}

/// The victim's run has the attacker's bundle and plan from here on.
fn swap(database: &std::path::Path, victim: &str, evil: &str) {
    let store = rusqlite::Connection::open(database).unwrap();
    let of = "(SELECT sequence FROM run WHERE id = ?1)";
    let (content, plan): (String, Vec<u8>) = store
        .query_row(
            &format!("SELECT content, plan FROM run_detail WHERE run = {of}"),
            [evil],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let changed = store
        .execute(
            &format!("UPDATE run_detail SET content = ?2, plan = ?3 WHERE run = {of}"),
            rusqlite::params![victim, content, plan],
        )
        .unwrap();
    assert_eq!(changed, 1);
    store
        .execute(
            &format!(
                "INSERT INTO content_use (digest, run) VALUES (?2, {of}) ON CONFLICT DO NOTHING"
            ),
            [victim, &content],
        )
        .unwrap();
}

#[test]
fn whoever_takes_the_master_over_gets_what_agents_grant_and_of_operators_nothing() {
    let mut fleet = Fleet::start();
    let granted = fleet.agent(
        "a",
        "process.run = ['sleep *']\nfiles.write = ['{}/work/*']",
    );
    let outside = format!("{granted}/outside");
    let folder = fleet.master.path("");
    let policy = fleet.master.policy("files.write = ['{}/here']");
    let victim = fleet.master.write(
        "w.sloth",
        workflow(&folder, "assert(exec.run('sleep 4').success)", "good"),
    );
    let wanted = |file: &str| {
        let arguments = [
            "run",
            "my-stack",
            "-f",
            file,
            "--yes",
            "--output",
            "json",
            "--delegate-to",
            "a",
            "--allow-local",
            "--policy",
            &policy,
        ];
        let mut command = fleet.asking(&arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let operator = wanted(&victim);
    until("the first step has begun", || {
        let told = fleet.ask(&["runs", "list", "--output", "json"]).0;
        told.contains("running")
    });
    let id = |at: usize| {
        let told = fleet.ask(&["runs", "list", "--output", "json"]).0;
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        told["runs"][at]["id"].as_str().unwrap().to_owned()
    };
    let victims = id(0);
    // As the admin, whose certificate lies in the master's folder: no agent does what its policy does not grant.
    let theft = format!("assert(fs.write('{outside}', 'x'))");
    let evil = fleet
        .master
        .write("evil.sloth", workflow(&folder, &theft, "evil"));
    let attempt = wanted(&evil).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&attempt.stdout).into_owned();
    assert!(
        said.contains("denied") && attempt.status.code() == Some(3),
        "{said}"
    );
    let exec = fleet.ask(&["agent", "exec", "a", "--", "touch", &outside]);
    assert!(
        exec.2 != Some(0) && exec.1.contains("is not granted"),
        "{}",
        exec.1
    );
    // With its database: the victim's run goes on with another bundle.
    let evils = id(1);
    assert_ne!(victims, evils);
    fleet.kill_master();
    swap(&fleet.master.data().join("master.db"), &victims, &evils);
    fleet.serve();
    let ended = operator.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_ne!(ended.status.code(), Some(0), "{told}");
    assert!(told.contains("not the bundle that was submitted"), "{told}");
    let here = std::fs::read_to_string(format!("{folder}/here")).unwrap_or_default();
    assert!(!here.contains("evil"), "{here}");
    assert!(!std::path::Path::new(&outside).exists());
}
