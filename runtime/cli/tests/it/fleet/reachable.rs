//! Whether agents answer where they say they can be reached, as the master finds out.

use serde_json::Value;

use crate::house::{Fleet, free, until};

fn shown(fleet: &Fleet, name: &str) -> Value {
    let (out, said, code) = fleet.ask(&["agent", "show", name, "--output", "json"]);
    assert_eq!(code, Some(0), "{said}");
    serde_json::from_str(&out).unwrap()
}

/// Enrols an agent that says that it is reached at a port of this machine; gives its own.
fn reporting(fleet: &mut Fleet, name: &str, reported: Option<u16>) -> u16 {
    let own = free();
    let port = own.to_string();
    let reported = format!("127.0.0.1:{}", reported.unwrap_or(own));
    fleet.agent_with(name, "", &["--port", &port, "--report-address", &reported]);
    own
}

#[test]
fn the_master_tells_which_agents_answer_on_their_own_port_and_why_others_do_not() {
    let mut fleet = Fleet::start();
    let port = reporting(&mut fleet, "there", None);
    reporting(&mut fleet, "elsewhere", Some(free()));
    reporting(&mut fleet, "impostor", Some(port));
    let silent: std::net::TcpListener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    reporting(
        &mut fleet,
        "silent",
        Some(silent.local_addr().unwrap().port()),
    );
    fleet.agent("quiet", "");
    for (name, reachable, problem) in [
        ("there", true, Value::Null),
        ("elsewhere", false, "nobody listens there".into()),
        (
            "impostor",
            false,
            "it is not the agent that answers there, but there".into(),
        ),
        ("silent", false, "it did not answer in time".into()),
    ] {
        until("it was asked", || !shown(&fleet, name)["probe"].is_null());
        let shown = shown(&fleet, name);
        assert_eq!(shown["reachable"], reachable, "{name}: {shown}");
        assert_eq!(shown["probe"]["problem"], problem, "{name}");
        assert!(shown["probe"]["time"].is_string());
    }
    let quiet = shown(&fleet, "quiet");
    assert!(quiet["reachable"].is_null() && quiet["probe"].is_null());
    let (listed, ..) = fleet.ask(&["agent", "list"]);
    let line = |name: &str| {
        let mut lines = listed.lines().filter(|line| line.starts_with(name));
        lines
            .next()
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(line("there").contains(" yes 0.1.0"), "{listed}");
    assert!(line("elsewhere").contains(" no 0.1.0"), "{listed}");
    assert!(line("quiet").contains(" unknown 0.1.0"), "{listed}");
    let (told, ..) = fleet.ask(&["agent", "show", "impostor"]);
    let told = told
        .lines()
        .find(|line| line.starts_with("reachable"))
        .unwrap();
    assert!(told.starts_with("reachable  no ("), "{told}");
    assert!(
        told.ends_with("): it is not the agent that answers there, but there"),
        "{told}"
    );
}

#[test]
fn an_address_that_nobody_could_use_is_not_reported() {
    let program = crate::program::Program::keeping();
    for address in ["web-01", "http://web-01:1", "web-01:0", "a b:1"] {
        let arguments = [
            "agent",
            "start",
            "--name",
            "a",
            "--master",
            "127.0.0.1:1",
            "--insecure",
            "--report-address",
            address,
        ];
        let ended = program.run(&arguments);
        assert_eq!(ended.code, Some(2), "{address}");
        assert!(
            ended.stderr.contains("is no address for --report-address"),
            "{}",
            ended.stderr
        );
    }
}
