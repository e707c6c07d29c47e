//! One name, and two who claim it.

use std::time::Duration;

use crate::house::{Fleet, copied, of, until, whole};
use crate::program::Program;

const POLICY: &str =
    "files.write = ['{}/work/**']\nprocess.run = ['sh -c *']\nprocess.shell = true";

#[test]
fn a_second_agent_of_a_name_is_refused_with_a_token_of_its_own_and_in_the_same_folder() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    let token = fleet.ask(&["token", "create", "--role", "agent"]).0;
    let other = Program::keeping();
    let token = other.write("token", token);
    let start = |program: &Program, more: &[&str]| {
        let port = crate::house::free().to_string();
        let mut arguments = vec!["agent", "start", "--name", "a", "--master", &fleet.address];
        arguments.extend(["--bind-address", "127.0.0.1", "--port", &port]);
        arguments.extend(more);
        program.run(&arguments)
    };
    let refused = start(&other, &["--token-file", &token]);
    assert_ne!(refused.code, Some(0));
    assert!(
        refused
            .stderr
            .contains("somebody called a has a certificate that is good"),
        "{}",
        refused.stderr
    );
    let same = start(&fleet.agents[0].program, &[]);
    assert_ne!(same.code, Some(0));
    assert!(
        same.stderr.contains("in use by another agent"),
        "{}",
        same.stderr
    );
    assert_eq!(fleet.state("a"), "online");
}

#[test]
fn an_agent_whose_folder_was_copied_takes_no_step_that_its_double_is_at() {
    let mut fleet = Fleet::start();
    let folder = fleet.agent("a", POLICY) + "/work";
    let file = fleet.master.write(
        "w.sloth",
        format!(
            "workflow.define('w'):tasks({{
               task('one'):command(function()
                 assert(exec.run(\"sh -c 'echo one >> {folder}/log; sleep 4'\").success)
               end),
               task('two'):depends_on('one'):command(function()
                 assert(exec.run(\"sh -c 'echo two >> {folder}/log'\").success)
               end) }})"
        ),
    );
    // A copy of the machine, made before the step.
    fleet.kill_agent("a");
    let double = Program::keeping();
    copied(&fleet.member("a").program.data(), &double.data());
    fleet.start_agent("a");
    fleet.is_online("a");
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    let log = || std::fs::read_to_string(format!("{folder}/log")).unwrap_or_default();
    until("the first step is at work", || log() == "one\n");
    let command = {
        let member = fleet.member("a");
        let port = crate::house::free().to_string();
        let policy = member.program.path("policy.toml");
        let address = &fleet.address;
        double.command(&[
            "agent",
            "start",
            "--name",
            "a",
            "--master",
            address,
            "--bind-address",
            "127.0.0.1",
            "--port",
            &port,
            "--policy",
            &policy,
        ])
    };
    let _double = crate::house::Service::start(command, double.path("agent.log").as_ref());
    let (told, _) = fleet.follow(&run);
    whole(&told);
    std::thread::sleep(Duration::from_secs(1));
    let text = log();
    let lines: std::collections::BTreeSet<&str> = text.lines().collect();
    assert_eq!(
        lines.len(),
        text.lines().count(),
        "an effect came twice: {text}"
    );
    for step in of(&told, "step-finished") {
        let done = lines.contains(step["task"].as_str().unwrap());
        assert!(done || step["outcome"] != "changed", "{step}");
    }
}
