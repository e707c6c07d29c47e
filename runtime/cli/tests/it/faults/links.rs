//! Links that break: between two machines with a wire of their own, and to processes that stand still.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::house::{Fleet, of, until, whole, within};
use crate::program::Ended;

/// Two machines, which are network namespaces, and a wire between them.
struct Wire {
    near: String,
    far: String,
}

const MASTER: &str = "10.77.0.1:7153";

fn ip(words: &[&str]) {
    let done = Command::new("ip").args(words).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {}: {said}", words.join(" "));
}

impl Wire {
    fn lay() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let named = |end| format!("sloth-{}-{count}-{end}", std::process::id());
        let wire = Self {
            near: named("near"),
            far: named("far"),
        };
        ip(&["netns", "add", &wire.near]);
        ip(&["netns", "add", &wire.far]);
        ip(&[
            "link", "add", "wire", "netns", &wire.near, "type", "veth", "peer", "name", "wire",
            "netns", &wire.far,
        ]);
        for (end, address) in [(&wire.near, "10.77.0.1/24"), (&wire.far, "10.77.0.2/24")] {
            ip(&["-n", end, "address", "add", address, "dev", "wire"]);
            ip(&["-n", end, "link", "set", "lo", "up"]);
            ip(&["-n", end, "link", "set", "wire", "up"]);
        }
        wire
    }

    /// Nothing comes through from now on, and neither end is told.
    fn cut(&self) {
        ip(&["-n", &self.near, "link", "set", "wire", "down"]);
    }

    fn mend(&self) {
        ip(&["-n", &self.near, "link", "set", "wire", "up"]);
    }

    fn fleet(&self, options: &[&str]) -> Fleet {
        let mut fleet = Fleet::resting(options);
        MASTER.clone_into(&mut fleet.address);
        fleet.inside = entering(&self.near);
        fleet.serve();
        fleet
    }

    fn agent(&self, fleet: &mut Fleet) -> String {
        let folder = fleet.agent_inside("a", POLICY, &[], &entering(&self.far));
        format!("{folder}/work")
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for end in [&self.near, &self.far] {
            let _ = Command::new("ip").args(["netns", "delete", end]).output();
        }
    }
}

fn entering(namespace: &str) -> Vec<String> {
    ["ip", "netns", "exec", namespace].map(str::to_owned).into()
}

const POLICY: &str =
    "files.write = ['{}/work/**']\nprocess.run = ['sh -c *']\nprocess.shell = true";

/// Two steps that leave a line with their attempt; the first takes some seconds.
fn workflow(fleet: &Fleet, folder: &str, seconds: u32) -> String {
    let script = format!(
        "workflow.define('w'):tasks({{
           task('one'):retries(1):command(function(this)
             assert(exec.run(\"sh -c 'echo one \" .. this.attempt() .. \" >> {folder}/log; sleep {seconds}'\").success)
           end),
           task('two'):depends_on('one'):command(function()
             assert(exec.run(\"sh -c 'echo two >> {folder}/log'\").success)
           end) }})"
    );
    fleet.master.write("w.sloth", script)
}

fn log(folder: &str) -> String {
    std::fs::read_to_string(format!("{folder}/log")).unwrap_or_default()
}

fn has_gone_well(told: &[Value], outcome: &str) {
    whole(told);
    assert_eq!(outcome, "changed", "{told:#?}");
    assert_eq!(of(told, "step-started").len(), 2, "{told:#?}");
}

#[test]
#[ignore = "needs ip, and to be root: .ci/run has both"]
fn a_link_that_is_cut_for_a_second_is_nothing_to_speak_of() {
    let wire = Wire::lay();
    let mut fleet = wire.fleet(&[]);
    let folder = wire.agent(&mut fleet);
    let file = workflow(&fleet, &folder, 4);
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the step is at work", || log(&folder) == "one 1\n");
    wire.cut();
    std::thread::sleep(Duration::from_secs(1));
    wire.mend();
    assert_eq!(fleet.state("a"), "online");
    let (told, outcome) = fleet.follow(&run);
    has_gone_well(&told, &outcome);
    assert_eq!(log(&folder), "one 1\ntwo\n");
}

#[test]
#[ignore = "needs ip, to be root, and a minute: .ci/run has all three"]
fn a_link_that_is_cut_for_forty_seconds_loses_the_agent_and_none_of_its_steps() {
    let wire = Wire::lay();
    let mut fleet = wire.fleet(&[]);
    let folder = wire.agent(&mut fleet);
    let file = workflow(&fleet, &folder, 20);
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the step is at work", || log(&folder) == "one 1\n");
    let began = Instant::now();
    wire.cut();
    until("it is lost", || fleet.state("a") == "lost");
    let after = began.elapsed();
    assert!(
        (Duration::from_secs(24)..Duration::from_secs(34)).contains(&after),
        "lost after {after:?}"
    );
    std::thread::sleep(Duration::from_secs(40).saturating_sub(began.elapsed()));
    assert_eq!(
        log(&folder),
        "one 1\n",
        "the next is not begun elsewhere, nor anew"
    );
    wire.mend();
    let (told, outcome) = fleet.follow(&run);
    has_gone_well(&told, &outcome);
    assert_eq!(log(&folder), "one 1\ntwo\n");
    assert_eq!(fleet.state("a"), "online");
}

#[test]
#[ignore = "needs ip, and to be root: .ci/run has both"]
fn a_link_that_is_cut_for_good_makes_its_steps_unreachable_and_what_comes_later_changes_nothing() {
    let wire = Wire::lay();
    let mut fleet = wire.fleet(&["--lost-after", "3s", "--unreachable-after", "4s"]);
    let folder = wire.agent(&mut fleet);
    let file = workflow(&fleet, &folder, 14);
    let mut asking = fleet.asking(&[
        "run",
        "s",
        "-f",
        &file,
        "--yes",
        "--delegate-to",
        "a",
        "--output",
        "json",
    ]);
    let asking = asking.stdout(Stdio::piped()).spawn().unwrap();
    until("the step is at work", || log(&folder) == "one 1\n");
    // As long as it is there, the time does not run.
    std::thread::sleep(Duration::from_secs(5));
    let began = Instant::now();
    wire.cut();
    let ended = Ended::from(asking.wait_with_output().unwrap());
    let after = began.elapsed();
    assert!(after > Duration::from_secs(4), "given up after {after:?}");
    let told = ended.events();
    whole(&told);
    assert_eq!(ended.code, Some(4), "{told:#?}");
    assert_eq!(told.last().unwrap()["outcome"], "unreachable");
    let run = told[0]["run"].as_str().unwrap();
    wire.mend();
    fleet.is_online("a");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(log(&folder), "one 1\n");
    let shown = fleet.ask(&["runs", "show", run, "--output", "json"]).0;
    assert!(
        shown.contains("unreachable") && !shown.contains("\"changed\":1"),
        "{shown}"
    );
    // The agent can be given other work.
    let (told, said, code) = fleet.run(&file, &["--delegate-to", "a", "--task", "two"]);
    whole(&told);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
#[ignore = "needs ip, and to be root: .ci/run has both"]
fn a_machine_that_dies_behind_a_cut_link_leaves_a_half_open_connection_and_comes_back_at_once() {
    let wire = Wire::lay();
    let mut fleet = wire.fleet(&[]);
    let folder = wire.agent(&mut fleet);
    let file = workflow(&fleet, &folder, 3);
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the step is at work", || log(&folder) == "one 1\n");
    wire.cut();
    fleet.kill_agent("a");
    wire.mend();
    assert_eq!(fleet.state("a"), "online", "nobody told the master");
    fleet.start_agent("a");
    let began = Instant::now();
    let (told, outcome) = fleet.follow(&run);
    whole(&told);
    assert_eq!(outcome, "changed", "{told:#?}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(log(&folder), "one 1\none 2\ntwo\n");
    let retried = of(&told, "step-retrying");
    assert!(
        retried[0]["message"]
            .as_str()
            .unwrap()
            .starts_with("interrupted"),
        "{retried:?}"
    );
}

#[test]
#[ignore = "needs half a minute: .ci/run has it"]
fn a_master_that_stands_still_is_left_and_found_again() {
    let mut fleet = Fleet::start();
    let folder = fleet.agent("a", POLICY) + "/work";
    let file = workflow(&fleet, &folder, 2);
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the step is at work", || log(&folder) == "one 1\n");
    fleet.serving().signal(Signal::SIGSTOP);
    let said = fleet.member("a").log();
    let left = || {
        std::fs::read_to_string(&said)
            .unwrap()
            .contains("the session is over")
    };
    // Asked after ten seconds, and left after ten more.
    within(Duration::from_secs(45), "the agent leaves it", left);
    fleet.serving().signal(Signal::SIGCONT);
    let (told, outcome) = fleet.follow(&run);
    has_gone_well(&told, &outcome);
    assert_eq!(log(&folder), "one 1\ntwo\n");
}

#[test]
fn an_agent_that_stands_still_is_lost_and_tells_its_ends_when_it_goes_on() {
    let mut fleet = Fleet::start_with(&["--lost-after", "2s"]);
    let folder = fleet.agent("a", POLICY) + "/work";
    let file = workflow(&fleet, &folder, 1);
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the step is at work", || log(&folder) == "one 1\n");
    fleet
        .member("a")
        .service
        .as_ref()
        .unwrap()
        .signal(Signal::SIGSTOP);
    until("it is lost", || fleet.state("a") == "lost");
    fleet
        .member("a")
        .service
        .as_ref()
        .unwrap()
        .signal(Signal::SIGCONT);
    let (told, outcome) = fleet.follow(&run);
    has_gone_well(&told, &outcome);
    assert_eq!(log(&folder), "one 1\ntwo\n");
}
