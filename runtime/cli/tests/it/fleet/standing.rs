//! What becomes of steps whose agent is there and does not take them on, or comes back without its memory; and who may
//! see which run.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::house::{Fleet, of, until, whole};
use crate::program::Program;

#[test]
fn a_step_for_an_agent_that_drains_waits_until_it_is_up_again() {
    let mut fleet = Fleet::start();
    let folder = fleet.agent("a", "process.run = ['sleep *']\nfiles.write = ['{}/**']");
    let file = |name: &str, before: &str| {
        fleet.master.write(
            &format!("{name}.sloth"),
            format!(
                "workflow.define('w'):tasks({{ task('t'):command(function()
                   {before}
                   assert(fs.append('{folder}/log', '{name}\\n'))
                 end) }})"
            ),
        )
    };
    let (slow, quick) = (file("slow", "exec.run('sleep 3')"), file("quick", ""));
    let first = fleet.submit(&slow, &["--delegate-to", "a"]);
    until("it is at work", || {
        let told = fleet.ask(&["runs", "show", &first, "--output", "json"]).0;
        told.contains("\"running\":true")
    });
    std::thread::sleep(Duration::from_millis(300));
    fleet
        .member("a")
        .service
        .as_ref()
        .unwrap()
        .signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(300));
    let second = fleet.submit(&quick, &["--delegate-to", "a"]);
    until("it has drained", || {
        fleet.member("a").service.as_mut().unwrap().is_over()
    });
    fleet.start_agent("a");
    for run in [first, second] {
        let (events, outcome) = fleet.follow(&run);
        assert_eq!(outcome, "changed", "{events:?}");
        whole(&events);
    }
    let log = std::fs::read_to_string(format!("{folder}/log")).unwrap();
    assert_eq!(log, "slow\nquick\n");
}

#[test]
fn what_an_agent_was_at_that_has_lost_its_journal_is_not_begun_again() {
    let mut fleet = Fleet::start();
    let folder = fleet.agent("a", "process.run = ['sleep *']\nfiles.write = ['{}/**']");
    let file = fleet.master.write(
        "w.sloth",
        format!(
            "workflow.define('w'):tasks({{ task('t'):command(function()
               assert(fs.append('{folder}/log', 'begun\\n'))
               exec.run('sleep 60')
             end) }})"
        ),
    );
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("it has begun", || {
        std::path::Path::new(&format!("{folder}/log")).exists()
    });
    fleet.kill_agent("a");
    let data = fleet.member("a").program.data();
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = std::fs::remove_file(data.join(name));
    }
    fleet.start_agent("a");
    let (events, _) = fleet.follow(&run);
    whole(&events);
    let message = of(&events, "step-finished")[0]["message"].as_str().unwrap();
    assert_eq!(
        message,
        "a has lost its journal; what became of the step is not known"
    );
    let log = std::fs::read_to_string(format!("{folder}/log")).unwrap();
    assert_eq!(log, "begun\n");
}

#[test]
fn an_operator_with_a_scope_has_to_do_with_runs_within_it_alone() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    fleet.agent("b", "");
    let file = fleet.master.write(
        "w.sloth",
        "workflow.define('w'):tasks({ task('t'):command(function() return true end) })",
    );
    let on = |agent: &str| {
        let (events, said, code) = fleet.run(&file, &["--delegate-to", agent]);
        assert_eq!(code, Some(0), "{said}");
        events[0]["run"].as_str().unwrap().to_owned()
    };
    let (mine, others) = (on("a"), on("b"));
    let key = fleet.ask(&[
        "token", "create", "--key", "--role", "operator", "--scope", "name=a",
    ]);
    assert_eq!(key.2, Some(0), "{}", key.1);
    let elsewhere = Program::keeping();
    let ask = |arguments: &[&str]| {
        let all = [arguments, &["--master", &fleet.address]].concat();
        let mut command = elsewhere.command(&all);
        command.env("SLOTH_RUNNER_API_KEY", key.0.trim());
        crate::program::Ended::from(command.output().unwrap())
    };
    let listed = ask(&["runs", "list"]).stdout;
    assert!(
        listed.contains(&mine) && !listed.contains(&others),
        "{listed}"
    );
    assert_eq!(ask(&["runs", "show", &mine]).code, Some(0));
    for command in ["show", "logs", "cancel", "resume"] {
        let ended = ask(&["runs", command, &others]);
        assert_ne!(ended.code, Some(0), "{command}");
        assert!(ended.stderr.contains("there is no run"), "{}", ended.stderr);
    }
}

#[test]
fn who_may_reach_less_than_he_could_takes_up_no_run_beyond_it() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    fleet.agent("b", "");
    let ana = Program::keeping();
    let login = |name: &str, more: &[&str]| {
        let token = fleet
            .ask(&[&["token", "create", "--role", "operator"], more].concat())
            .0;
        let file = ana.write("token", token);
        ana.run(&[
            "login",
            "--name",
            name,
            "--token-file",
            &file,
            "--master",
            &fleet.address,
        ])
    };
    for reserved in ["admin", "sloth-master"] {
        let refused = login(reserved, &[]);
        assert!(
            refused.stderr.contains("is a name of the master's own"),
            "{}",
            refused.stderr
        );
    }
    let joined = login("ana", &[]);
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    let file = ana.write(
        "w.sloth",
        "workflow.define('w'):tasks({ task('t'):command(function() error('no') end) })",
    );
    let wanted = [
        "run",
        "s",
        "-f",
        &file,
        "--yes",
        "--master",
        &fleet.address,
        "--output",
        "json",
    ];
    let ended = ana.run(&[&wanted[..], &["--delegate-to", "a", "--delegate-to", "b"]].concat());
    let first: serde_json::Value =
        serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    let id = first["run"].as_str().unwrap();
    assert_eq!(fleet.ask(&["agent", "remove", "ana"]).2, Some(0));
    std::fs::remove_file(ana.path(".config/sloth-runner/credential")).unwrap();
    let joined = login("ana", &["--scope", "name=a"]);
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    let ended = ana.run(&["runs", "resume", id, "--master", &fleet.address]);
    assert_ne!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("ana may not reach b"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_scope_that_asks_for_facts_is_refused_since_everybody_could_make_them_up() {
    let fleet = Fleet::start();
    let scope = "not facts.platform.os=windows";
    let made = ["token", "create", "--key", "--role", "operator", "--scope"];
    let (_, said, code) = fleet.ask(&[made.as_slice(), &[scope]].concat());
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("by their names and the labels of their tokens"),
        "{said}"
    );
}

#[test]
fn a_label_that_an_agent_gives_itself_brings_it_into_nobody_s_scope() {
    let mut fleet = Fleet::start();
    fleet.agent_with("a", "", &["--labels", "team=blue"]);
    let key = fleet.ask(&[
        "token",
        "create",
        "--key",
        "--role",
        "operator",
        "--scope",
        "team=blue",
    ]);
    let elsewhere = Program::keeping();
    let mut command = elsewhere.command(&[
        "agent",
        "list",
        "--output",
        "json",
        "--master",
        &fleet.address,
    ]);
    command.env("SLOTH_RUNNER_API_KEY", key.0.trim());
    let ended = crate::program::Ended::from(command.output().unwrap());
    assert_eq!(
        (ended.stdout.trim(), ended.code),
        ("{\"agents\":[]}", Some(0)),
        "{}",
        ended.stderr
    );
    assert!(
        fleet
            .ask(&["agent", "list", "--output", "json"])
            .0
            .contains("blue")
    );
}

#[test]
fn a_second_master_of_a_data_folder_is_refused() {
    let fleet = Fleet::start();
    let ended = fleet.master.run(&[
        "master",
        "start",
        "--bind-address",
        "127.0.0.1",
        "--port",
        "0",
    ]);
    assert_ne!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("another master works in"),
        "{}",
        ended.stderr
    );
}

#[test]
fn who_asks_for_what_he_may_not_is_in_the_chained_audit_of_the_master() {
    let mut fleet = Fleet::start();
    let key = fleet
        .ask(&["token", "create", "--key", "--role", "viewer"])
        .0;
    let mut command =
        Program::keeping().command(&["agent", "remove", "a", "--master", &fleet.address]);
    command.env("SLOTH_RUNNER_API_KEY", key.trim());
    let ended = crate::program::Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    until("it is on record", || {
        let kept = fleet
            .master
            .run(&["audit", "show", "--capability", "fleet"])
            .stdout;
        kept.contains("may not call sloth.v1.Fleet/RemoveAgent") && kept.contains("caller=key:")
    });
    let refused = fleet.ask(&["agent", "remove", "admin"]);
    assert!(refused.1.contains("is the master's own"), "{}", refused.1);
    fleet.agent("a", "");
    assert_eq!(fleet.ask(&["agent", "drain", "a"]).2, Some(0));
    until("what was done is on record too", || {
        let kept = fleet
            .master
            .run(&["audit", "show", "--capability", "fleet"])
            .stdout;
        kept.contains("an agent was drained")
            && kept.contains("by=admin")
            && kept.contains("about=a")
    });
    assert!(
        !fleet
            .master
            .run(&["audit", "show"])
            .stdout
            .contains(key.trim())
    );
    assert_eq!(fleet.master.run(&["audit", "verify"]).code, Some(0));
}
