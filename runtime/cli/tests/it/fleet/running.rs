//! Runs on agents: what they come to, whichever process dies, and what is refused.

use std::time::Duration;

use serde_json::Value;

use crate::house::{Fleet, of, until, whole};

#[test]
fn a_workflow_runs_on_two_agents_each_within_its_own_policy() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "process.run = ['echo **']");
    fleet.agent("b", "");
    let file = fleet.master.write(
        "w.sloth",
        "workflow.define('w'):tasks({ task('t'):command(function()
           local ran = exec.run('echo hello')
           return ran.success, nil, { said = ran.stdout }
         end) })",
    );
    let (events, said, code) = fleet.run(&file, &["--delegate-to", "a", "--delegate-to", "b"]);
    assert_eq!(code, Some(3), "{said}");
    whole(&events);
    for line in fleet
        .ask(&[
            "runs",
            "logs",
            events[0]["run"].as_str().unwrap(),
            "--output",
            "json",
        ])
        .0
        .lines()
    {
        assert!(line.matches("\"target\":").count() <= 1, "{line}");
    }
    let finished = of(&events, "step-finished");
    let outcome = |target: &str| {
        let mut steps = finished.iter().filter(|step| step["target"] == target);
        steps.next().unwrap()["outcome"].clone()
    };
    assert_eq!(
        (outcome("a"), outcome("b")),
        ("changed".into(), "denied".into())
    );
    let refused = of(&events, "denial");
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["remedy"], "[process] run = [\"echo hello\"]");
    let outputs = &events.last().unwrap()["outputs"];
    assert_eq!(outputs["a"]["tasks"]["t"]["said"], "hello\n");
}

#[test]
fn a_run_goes_on_when_its_master_is_killed_and_comes_up_again() {
    let mut fleet = Fleet::start();
    let folder = fleet.agent("a", "process.run = ['sleep *']\nfiles.write = ['{}/**']");
    let log = format!("{folder}/log");
    let file = fleet.master.write(
        "w.sloth",
        format!(
            "workflow.define('w'):tasks({{
               task('one'):command(function()
                 exec.run('sleep 3')
                 assert(fs.append('{log}', 'one\\n'))
               end),
               task('two'):command(function() assert(fs.append('{log}', 'two\\n')) end),
             }})"
        ),
    );
    let (id, said, code) = fleet.ask(&[
        "run",
        "s",
        "-f",
        &file,
        "--yes",
        "--delegate-to",
        "a",
        "--detach",
    ]);
    assert_eq!(code, Some(0), "{said}");
    let id = id.trim().to_owned();
    until("the first step has begun", || {
        let told = fleet.ask(&["runs", "show", &id, "--output", "json"]).0;
        told.contains("\"running\":true")
    });
    fleet.kill_master();
    std::thread::sleep(Duration::from_millis(500));
    fleet.serve();
    let (events, said, code) = fleet.ask(&["runs", "logs", &id, "-f", "--output", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let events: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    whole(&events);
    assert_eq!(of(&events, "step-started").len(), 2);
    assert_eq!(of(&events, "step-finished").len(), 2);
    assert_eq!(events.last().unwrap()["outcome"], "changed");
    // Each effect once.
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "one\ntwo\n");
}

#[test]
fn a_program_on_an_agent_gives_its_output_and_its_exit_code() {
    let mut fleet = Fleet::start();
    fleet.agent(
        "a",
        "process.run = ['sh -c \"exit 7\"', 'echo **']\nprocess.shell = true",
    );
    assert_eq!(
        fleet.ask(&["agent", "exec", "a", "--", "echo", "hi"]),
        ("hi\n".to_owned(), String::new(), Some(0))
    );
    let (_, said, code) = fleet.ask(&["agent", "exec", "a", "--", "cat", "/etc/shadow"]);
    assert_eq!(code, Some(255));
    assert!(
        said.contains("process.run is not granted for cat /etc/shadow"),
        "{said}"
    );
}

#[test]
fn what_is_not_there_is_named_and_a_removed_agent_is_put_out() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    let file = fleet.master.write(
        "w.sloth",
        "workflow.define('w'):tasks({ task('t'):command(function() return true end) })",
    );
    let (_, said, code) = fleet.run(&file, &["--delegate-to", "nobody"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains("there are no such agents:\n  `nobody`"),
        "{said}"
    );
    let (events, _, code) = fleet.run(&file, &["--delegate-to", "a"]);
    assert_eq!(
        (code, events.last().unwrap()["outcome"].as_str()),
        (Some(0), Some("ok"))
    );
    assert_eq!(fleet.ask(&["agent", "remove", "a"]).2, Some(0));
    let (_, said, code) = fleet.run(&file, &["--delegate-to", "a"]);
    assert_eq!(code, Some(4), "{said}");
}

#[test]
fn what_succeeded_is_not_done_again_when_a_run_is_resumed() {
    let mut fleet = Fleet::start();
    let folder = fleet.agent("a", "files.write = ['{}/**']\nfiles.read = ['{}/**']");
    let file = fleet.master.write(
        "w.sloth",
        format!(
            "workflow.define('w'):tasks({{
               task('one'):command(function()
                 assert(fs.append('{folder}/log', 'one\\n'))
                 return true, nil, {{ made = 'by one' }}
               end),
               task('two'):depends_on('one'):command(function(this, params, deps)
                 assert(fs.exists('{folder}/ready'), 'not ready')
                 assert(fs.append('{folder}/log', deps.one.made .. '\\n'))
               end),
             }})"
        ),
    );
    let (events, said, code) = fleet.run(&file, &["--delegate-to", "a"]);
    assert_eq!(code, Some(1), "{said}");
    let id = events[0]["run"].as_str().unwrap().to_owned();
    std::fs::write(format!("{folder}/ready"), "").unwrap();
    let (_, said, code) = fleet.ask(&["runs", "resume", &id, "--output", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let log = std::fs::read_to_string(format!("{folder}/log")).unwrap();
    assert_eq!(log, "one\nby one\n");
}

#[test]
fn a_drained_agent_is_given_no_work_until_that_is_undone_also_by_a_master_that_comes_up_again() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    let file = fleet.master.write(
        "w.sloth",
        "workflow.define('w'):tasks({ task('t'):command(function() return true end) })",
    );
    assert_eq!(fleet.ask(&["agent", "drain", "a"]).2, Some(0));
    fleet.kill_master();
    fleet.serve();
    let wanted = ["--delegate-to", "a", "--queue-timeout", "1s"];
    let (events, _, code) = fleet.run(&file, &wanted);
    let outcome = events.last().unwrap()["outcome"].as_str();
    assert_eq!((code, outcome), (Some(4), Some("unreachable")));
    assert_eq!(fleet.ask(&["agent", "drain", "a", "--undo"]).2, Some(0));
    let (_, said, code) = fleet.run(&file, &["--delegate-to", "a"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_stack_has_its_history_and_its_outputs_at_the_master_and_here() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    let file = fleet.master.write(
        "w.sloth",
        "workflow.define('w'):tasks({ task('t'):command(function()
           stack.set_output('url', 'https://example.org')
         end) })",
    );
    let (events, said, code) = fleet.run(&file, &["--delegate-to", "a"]);
    assert_eq!(code, Some(0), "{said}");
    let run = events[0]["run"].as_str().unwrap();
    let listed = fleet.ask(&["stack", "history", "my-stack"]).0;
    assert!(listed.contains(run), "{listed}");
    let outputs = fleet.ask(&["stack", "outputs", "my-stack"]);
    assert_eq!(
        (outputs.0.as_str(), outputs.2),
        ("{\"url\":\"https://example.org\"}\n", Some(0)),
        "{}",
        outputs.1
    );
    assert_eq!(
        fleet.ask(&["stack", "outputs", "my-stack", "url"]).0,
        "\"https://example.org\"\n"
    );
    let (_, said, code) = fleet.ask(&["stack", "outputs", "my-stack", "nothing"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("has no output `nothing`"), "{said}");
    // Without a master it is this machine's, where the same stack has nothing yet.
    assert_eq!(
        fleet.master.run(&["stack", "outputs", "my-stack"]).code,
        Some(1)
    );
    assert_eq!(fleet.master.run_file(&file, &[]).code, Some(0));
    let here = fleet.master.run(&["stack", "outputs", "s"]).stdout;
    assert_eq!(here, "{\"url\":\"https://example.org\"}\n");
    let listed = fleet
        .master
        .run(&["stack", "history", "s", "--output", "json"])
        .stdout;
    assert!(listed.starts_with("{\"runs\":[{"), "{listed}");
}
