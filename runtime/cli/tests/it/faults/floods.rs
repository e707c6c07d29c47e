//! Too much: of output, of watchers that do not read, of steps at once, of a bundle.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::house::{Fleet, events, of, until, whole, within};

const FLOOD: &str = "workflow.define('w'):tasks({ task('t'):command(function()
    for number = 1, 1e9 do print(('line %d of a flood that does not end by itself'):format(number)) end
end) })";
const NOTHING: &str =
    "workflow.define('w'):tasks({ task('t'):command(function() return true end) })";
const MOST: u64 = 200 << 20;

#[test]
fn a_flood_of_output_holds_up_no_cancel_and_nobody_else() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    fleet.agent("b", "");
    let flood = fleet.master.write("flood.sloth", FLOOD);
    let quick = fleet.master.write("w.sloth", NOTHING);
    let run = fleet.submit(&flood, &["--delegate-to", "a"]);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(fleet.state("a"), "online");
    let began = Instant::now();
    let (told, said, code) = fleet.run(&quick, &["--delegate-to", "b"]);
    assert_eq!(code, Some(0), "{said}");
    whole(&told);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let began = Instant::now();
    assert_eq!(fleet.ask(&["runs", "cancel", &run]).2, Some(0));
    let ended = |fleet: &Fleet| {
        let shown = fleet.ask(&["runs", "show", &run, "--output", "json"]).0;
        shown.contains("\"state\":\"cancelled\"")
    };
    within(Duration::from_secs(15), "the flood is cancelled", || {
        ended(&fleet)
    });
    assert!(began.elapsed() < Duration::from_secs(15));
    let memory = fleet.serving().memory();
    assert!(memory < MOST, "the master has {memory} bytes");
    let memory = fleet.member("a").service.as_ref().unwrap().memory();
    assert!(memory < 2 * MOST, "the agent has {memory} bytes");
    let told = events(&fleet.ask(&["runs", "logs", &run, "--output", "json"]).0);
    whole(&told);
    assert_eq!(told.last().unwrap()["outcome"], "cancelled");
}

#[test]
fn a_watcher_that_does_not_read_costs_the_master_nothing_and_misses_nothing() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    fleet.agent("b", "");
    let flood = fleet.master.write("flood.sloth", FLOOD);
    let quick = fleet.master.write("w.sloth", NOTHING);
    let run = fleet.submit(&flood, &["--delegate-to", "a"]);
    let mut watchers = Vec::new();
    for _ in 0..8 {
        let mut watching = fleet.asking(&["runs", "logs", &run, "-f", "--output", "json"]);
        let mut watcher = watching
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut out = BufReader::new(watcher.stdout.take().unwrap());
        out.read_line(&mut first).unwrap();
        let process = Pid::from_raw(i32::try_from(watcher.id()).unwrap());
        kill(process, Signal::SIGSTOP).unwrap();
        watchers.push((watcher, first, out, process));
    }
    let before = fleet.serving().memory();
    std::thread::sleep(Duration::from_secs(4));
    let after = fleet.serving().memory();
    assert!(
        after < before.max(MOST / 2) + (64 << 20),
        "from {before} to {after} bytes"
    );
    let began = Instant::now();
    assert_eq!(fleet.run(&quick, &["--delegate-to", "b"]).2, Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(fleet.ask(&["runs", "cancel", &run]).2, Some(0));
    until("the flood is cancelled", || {
        let shown = fleet.ask(&["runs", "show", &run, "--output", "json"]).0;
        shown.contains("\"state\":\"cancelled\"")
    });
    let kept = events(&fleet.ask(&["runs", "logs", &run, "--output", "json"]).0);
    whole(&kept);
    // The one that reads again has all of it; the others go away in the middle.
    let mut watchers = watchers.into_iter();
    let (mut watcher, first, out, process) = watchers.next().unwrap();
    kill(process, Signal::SIGCONT).unwrap();
    let mut seen = first;
    for line in out.lines() {
        seen.push_str(&line.unwrap());
        seen.push('\n');
    }
    watcher.wait().unwrap();
    assert_eq!(events(&seen).len(), kept.len());
    for (mut watcher, ..) in watchers {
        watcher.kill().unwrap();
        watcher.wait().unwrap();
    }
}

#[test]
fn a_master_that_comes_up_again_in_the_middle_of_fifty_steps_has_all_their_ends() {
    let mut fleet = Fleet::start();
    let shared = fleet.master.path("work");
    std::fs::create_dir(&shared).unwrap();
    let policy = format!(
        "files.write = ['{shared}/**']
process.run = ['sh -c *']
process.shell = true
limits.concurrent-steps = 16"
    );
    let names = ["a", "b", "c", "d"];
    for name in names {
        fleet.agent(name, &policy);
    }
    let file = fleet.master.write(
        "w.sloth",
        format!(
            "local tasks = {{}}
             for number = 1, 13 do
               tasks[number] = task('t' .. number):command(function()
                 assert(exec.run(\"sh -c 'echo t\" .. number .. \" >> {shared}/log; while ! test -e {shared}/go; do sleep 0.2; done'\").success)
               end)
             end
             workflow.define('w'):config({{ max_parallel_tasks = 13 }}):tasks(tasks)"
        ),
    );
    let targets = names.map(|name| ["--delegate-to", name]).concat();
    let run = fleet.submit(&file, &targets);
    let log = || std::fs::read_to_string(format!("{shared}/log")).unwrap_or_default();
    until("52 steps are at work", || log().lines().count() == 52);
    fleet.kill_master();
    fleet.serve();
    std::fs::write(format!("{shared}/go"), "").unwrap();
    let (told, outcome) = fleet.follow(&run);
    whole(&told);
    assert_eq!(outcome, "changed", "{:#?}", told.last());
    assert_eq!(of(&told, "step-started").len(), 52);
    let finished = of(&told, "step-finished");
    assert_eq!(finished.len(), 52);
    assert!(finished.iter().all(|step| step["outcome"] == "changed"));
    assert_eq!(log().lines().count(), 52, "each once");
}

#[test]
fn a_bundle_of_two_hundred_megabytes_is_refused_before_it_is_read_and_by_the_master_before_it_comes()
 {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    let file = fleet.master.write("w.sloth", NOTHING);
    std::fs::create_dir(fleet.master.path("files")).unwrap();
    let large = std::fs::File::create(fleet.master.path("files/large")).unwrap();
    large.set_len(200 << 20).unwrap();
    let (_, said, code) = fleet.run(&file, &["--delegate-to", "a"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("large") || said.contains("MiB"), "{said}");
    let memory = fleet.serving().memory();
    assert!(memory < MOST / 2, "the master has {memory} bytes");
}
