//! How runs end that somebody or something ended: wherever the master and the agents are just then.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::house::{Fleet, of, until, whole};

const POLICY: &str =
    "process.run = ['sh -c *', 'sleep *']\nprocess.shell = true\nfiles.write = ['{}/**']";

fn size(log: &str) -> usize {
    std::fs::read(log).map_or(0, |bytes| bytes.len())
}

#[test]
fn a_cancel_outlives_its_master_and_ends_what_had_begun() {
    let mut fleet = Fleet::start();
    let folder = fleet.agent("a", POLICY);
    let log = format!("{folder}/work/log");
    let file = fleet.master.write(
        "w.sloth",
        format!(
            "workflow.define('w'):tasks({{
               task('before'):command(function() end),
               task('long'):depends_on('before'):command(function()
                 exec.run(\"sh -c 'while true; do echo x >> {log}; sleep 0.1; done'\")
               end),
               task('after'):depends_on('long'):command(function() end),
             }})"
        ),
    );
    let id = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the program is at work", || size(&log) > 0);
    fleet
        .member("a")
        .service
        .as_ref()
        .unwrap()
        .signal(Signal::SIGSTOP);
    assert_eq!(fleet.ask(&["runs", "cancel", &id]).2, Some(0));
    fleet.kill_master();
    fleet.serve();
    fleet
        .member("a")
        .service
        .as_ref()
        .unwrap()
        .signal(Signal::SIGCONT);
    let (events, said) = fleet.follow(&id);
    whole(&events);
    let steps: Vec<_> = of(&events, "step-finished")
        .iter()
        .map(|step| {
            (
                step["task"].as_str().unwrap(),
                step["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("before", "ok"),
            ("after", "cancelled"),
            ("long", "cancelled")
        ],
        "{said}"
    );
    let last = events.last().unwrap();
    assert_eq!(last["outcome"], "cancelled");
    assert_eq!(
        (&last["counts"]["ok"], &last["counts"]["cancelled"]),
        (&1.into(), &2.into()),
        "{last}"
    );
    let so_far = size(&log);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(size(&log), so_far, "the program has ended");
}

#[test]
fn what_was_given_up_while_its_agent_was_away_ends_when_that_is_back() {
    let mut fleet = Fleet::start_with(&["--lost-after", "2s", "--unreachable-after", "3s"]);
    let folder = fleet.agent("a", POLICY);
    let log = format!("{folder}/work/log");
    let file = fleet.master.write(
        "w.sloth",
        format!(
            "workflow.define('w'):tasks({{ task('long'):command(function()
               exec.run(\"sh -c 'while true; do echo x >> {log}; sleep 0.1; done'\")
             end) }})"
        ),
    );
    let id = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the program is at work", || size(&log) > 0);
    fleet
        .member("a")
        .service
        .as_ref()
        .unwrap()
        .signal(Signal::SIGSTOP);
    let (events, said) = fleet.follow(&id);
    assert_eq!(events.last().unwrap()["outcome"], "unreachable", "{said}");
    fleet
        .member("a")
        .service
        .as_ref()
        .unwrap()
        .signal(Signal::SIGCONT);
    let mut before = (size(&log), Instant::now());
    until("the program has ended", || {
        let now = size(&log);
        if now != before.0 {
            before = (now, Instant::now());
        }
        before.1.elapsed() > Duration::from_secs(2)
    });
}

#[test]
fn the_time_of_a_workflow_goes_on_while_no_master_is_there() {
    let mut fleet = Fleet::start();
    fleet.agent("a", POLICY);
    let file = fleet.master.write(
        "w.sloth",
        "workflow.define('w'):config({ timeout = '10s' }):tasks({
           task('before'):command(function() end),
           task('long'):depends_on('before'):command(function() exec.run('sleep 60') end),
         })",
    );
    let id = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the first step has ended", || {
        fleet
            .ask(&["runs", "logs", &id, "--output", "json"])
            .0
            .contains("step-finished")
    });
    fleet.kill_master();
    std::thread::sleep(Duration::from_secs(5));
    fleet.serve();
    let (events, said) = fleet.follow(&id);
    whole(&events);
    // Counted from the restart, they would end after fifteen.
    let took = events.last().unwrap()["duration-ms"].as_u64().unwrap();
    assert!(took < 14_500, "{took} ms: {said}");
    assert_eq!(events.last().unwrap()["outcome"], "timed-out");
    let finished = of(&events, "step-finished");
    assert_eq!(
        (&finished[0]["task"], &finished[0]["outcome"]),
        (&"before".into(), &"ok".into())
    );
}

#[test]
fn outputs_of_many_megabytes_fail_no_run_and_break_no_session() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    let file = fleet.master.write(
        "w.sloth",
        r#"local tasks = {}
           local function heavy() return true, nil, { text = string.rep("x", 900 * 1024) } end
           local all = {}
           for number = 1, 15 do
             all[number] = "t" .. number
             tasks[number] = task(all[number]):command(heavy)
           end
           tasks[16] = task("few"):depends_on({ "t1", "t2" }):command(function() end)
           tasks[18] = task("all"):depends_on(all):command(function() end)
           local most = {}
           for number = 1, 10 do most[number] = all[number] end
           tasks[17] = task("most"):depends_on(most):command(function(_, deps) return #deps.t10.text == 900 * 1024 end)
           workflow.define("w"):tasks(tasks)"#,
    );
    let (events, said, _) = fleet.run(&file, &["--delegate-to", "a"]);
    let end = |task: &str| {
        let steps = of(&events, "step-finished");
        let step = steps.into_iter().find(|step| step["task"] == task);
        step.unwrap_or_else(|| panic!("{task}: {said}")).clone()
    };
    assert_eq!(
        end("t5")["outputs"]["text"].as_str().unwrap().len(),
        900 << 10
    );
    assert_eq!(end("few")["outcome"], "ok");
    assert_eq!(end("most")["outcome"], "ok", "{}", end("most")["message"]);
    let all = end("all");
    assert_eq!(all["outcome"], "failed");
    assert!(
        all["message"].as_str().unwrap().contains("takes 14 MiB"),
        "{}",
        all["message"]
    );
    let last = events.last().unwrap();
    assert_eq!(
        (last["event"].as_str(), &last["counts"]["ok"]),
        (Some("run-finished"), &17.into())
    );
    assert!(said.is_empty() || !said.contains("lost"), "{said}");
    let id = events[0]["run"].as_str().unwrap();
    assert_eq!(fleet.ask(&["runs", "show", id]).2, Some(0));
}
