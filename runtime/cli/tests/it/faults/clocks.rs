//! Clocks that jump. What is measured in a process does not see it, and certificates are held against the time of day
//! that there is.

use std::time::Duration;

use crate::house::{Fleet, of, until, whole, within};

/// Whose functions stand before those of the system.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A clock of its own for a process, whose time of day is set by writing to a file.
struct Watch {
    file: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Watch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let watch = Self {
            file: folder.path().join("offset"),
            _folder: folder,
        };
        watch.set("+0");
        watch
    }

    /// How far from the machine's.
    fn set(&self, offset: &str) {
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{offset}\n")).unwrap();
        std::fs::rename(next, &self.file).unwrap();
    }

    fn wearing(&self) -> Vec<String> {
        vec![
            "env".to_owned(),
            format!("LD_PRELOAD={LIBRARY}"),
            format!("FAKETIME_TIMESTAMP_FILE={}", self.file.display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
            "DONT_FAKE_MONOTONIC=1".to_owned(),
        ]
    }
}

const POLICY: &str =
    "files.write = ['{}/work/**']\nprocess.run = ['sh -c *']\nprocess.shell = true";

fn workflow(fleet: &Fleet, folder: &str) -> String {
    let script = format!(
        "workflow.define('w'):config({{ timeout = '5m' }}):tasks({{
           task('one'):timeout('1m'):command(function()
             assert(exec.run(\"sh -c 'echo one >> {folder}/log; sleep 6'\").success)
           end),
           task('two'):depends_on('one'):timeout('1m'):command(function()
             assert(exec.run(\"sh -c 'echo two >> {folder}/log'\").success)
           end) }})"
    );
    fleet.master.write("w.sloth", script)
}

fn log(folder: &str) -> String {
    std::fs::read_to_string(format!("{folder}/log")).unwrap_or_default()
}

/// Forward and back in the middle of a step.
fn a_run_with_jumps(fleet: &Fleet, folder: &str, watch: &Watch) {
    let file = workflow(fleet, folder);
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the step is at work", || log(folder) == "one\n");
    for offset in ["+7200", "-1800", "+86400", "+0"] {
        watch.set(offset);
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(fleet.state("a"), "online", "{offset}");
    }
    watch.set("+7200");
    let (told, outcome) = fleet.follow(&run);
    whole(&told);
    assert_eq!(outcome, "changed", "{told:#?}");
    assert_eq!(log(folder), "one\ntwo\n");
    let took = of(&told, "step-finished")[0]["duration-ms"]
        .as_u64()
        .unwrap();
    assert!((6_000..30_000).contains(&took), "{took} ms");
}

#[test]
#[ignore = "needs faketime: .ci/run installs it"]
fn a_masters_clock_that_jumps_ends_no_step_loses_no_agent_and_certificates_go_by_it() {
    let watch = Watch::new();
    let mut fleet = Fleet::resting(&[]);
    fleet.inside = watch.wearing();
    fleet.serve();
    let folder = fleet.agent("a", POLICY) + "/work";
    a_run_with_jumps(&fleet, &folder, &watch);
    // Before the agent's certificate began: nobody comes in with it, until the clock is right again.
    fleet.kill_agent("a");
    watch.set("-86400");
    fleet.start_agent("a");
    std::thread::sleep(Duration::from_secs(3));
    let said = std::fs::read_to_string(fleet.member("a").log()).unwrap();
    assert!(said.contains("the session is over"), "{said}");
    watch.set("+0");
    within(Duration::from_secs(30), "it is let in", || {
        fleet.state("a") == "online"
    });
}

#[test]
#[ignore = "needs faketime: .ci/run installs it"]
fn an_agents_clock_that_jumps_ends_no_step_and_a_certificate_that_has_run_out_is_said() {
    let watch = Watch::new();
    let mut fleet = Fleet::start();
    let folder = fleet.agent_inside("a", POLICY, &[], &watch.wearing()) + "/work";
    a_run_with_jumps(&fleet, &folder, &watch);
    fleet.kill_agent("a");
    watch.set("+200d");
    fleet.start_agent("a");
    let log = fleet.member("a").log();
    within(Duration::from_secs(10), "it says so", || {
        let said = std::fs::read_to_string(&log).unwrap();
        said.contains("ran out") || said.contains("expired") || said.contains("run out")
    });
    assert_ne!(fleet.state("a"), "online");
    watch.set("+0");
    fleet.kill_agent("a");
    fleet.start_agent("a");
    fleet.is_online("a");
}

#[test]
#[ignore = "needs faketime: .ci/run installs it"]
fn an_agent_that_comes_up_in_another_year_does_not_do_again_what_it_did_and_could_not_tell() {
    let watch = Watch::new();
    watch.set("-3000d");
    let mut fleet = Fleet::start();
    // Enrolled with the right time, as a machine without a battery is that has asked for it.
    watch.set("+0");
    let folder = fleet.agent_inside("a", POLICY, &[], &watch.wearing()) + "/work";
    let file = workflow(&fleet, &folder);
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the step is at work", || log(&folder) == "one\n");
    // The step ends by a clock of long ago, with nobody there to be told.
    fleet.kill_master();
    watch.set("-3000d");
    std::thread::sleep(Duration::from_secs(8));
    fleet.kill_agent("a");
    watch.set("+0");
    fleet.start_agent("a");
    fleet.serve();
    let (told, outcome) = fleet.follow(&run);
    whole(&told);
    assert_eq!(outcome, "changed", "{told:#?}");
    assert_eq!(log(&folder), "one\ntwo\n");
}
