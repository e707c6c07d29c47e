//! Full disks: what cannot be kept is not done, and what was done is told when there is room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::house::{Fleet, copied, of, until, whole, within};

/// A small disk in a folder's place, unmounted at the end.
struct Disk(PathBuf);

/// Kilobytes that are free at first.
const ROOM: u64 = 24 << 10;

impl Disk {
    /// With what the folder holds. None where nobody may mount.
    fn over(folder: &Path) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let aside = tempfile::tempdir().unwrap();
        let cache = folder.join("cache");
        copied(folder, aside.path());
        copied(&cache, &{
            let own = aside.path().join("cache");
            std::fs::create_dir(&own).unwrap();
            own
        });
        let used = Command::new("du")
            .arg("-sk")
            .arg(aside.path())
            .output()
            .unwrap();
        let used = String::from_utf8(used.stdout).unwrap();
        let used: u64 = used.split_whitespace().next().unwrap().parse().unwrap();
        let options = format!("size={}k,mode=0700", used + ROOM);
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder)
            .status()
            .unwrap();
        assert!(mounted.success());
        let disk = Self(folder.to_owned());
        copied(aside.path(), folder);
        std::fs::create_dir(&cache).unwrap();
        copied(&aside.path().join("cache"), &cache);
        Some(disk)
    }

    /// Takes all the room there is.
    fn fill(&self) {
        use std::io::Write;
        let mut ballast = std::fs::File::create(self.ballast()).unwrap();
        while ballast.write_all(&[0; 4096]).is_ok() {}
        while ballast.write_all(&[0]).is_ok() {}
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

const POLICY: &str =
    "files.write = ['{}/work/**']\nprocess.run = ['sh -c *']\nprocess.shell = true";

/// Two steps that leave a line each; the first goes on until it is let go, and talks meanwhile.
fn workflow(folder: &str) -> String {
    format!(
        "workflow.define('w'):tasks({{
           task('one'):command(function()
             assert(exec.run(\"sh -c 'echo one >> {folder}/log; while ! test -e {folder}/go; do echo waits; sleep 0.1; done'\").success)
           end),
           task('two'):depends_on('one'):command(function()
             assert(exec.run(\"sh -c 'echo two >> {folder}/log'\").success)
           end) }})"
    )
}

fn log(folder: &str) -> String {
    std::fs::read_to_string(format!("{folder}/log")).unwrap_or_default()
}

#[test]
fn an_agent_whose_disk_is_full_begins_nothing_and_tells_what_it_did_when_there_is_room() {
    let mut fleet = Fleet::start();
    let folder = fleet.agent("a", POLICY) + "/work";
    fleet.kill_agent("a");
    let Some(disk) = Disk::over(&fleet.member("a").program.data()) else {
        return;
    };
    fleet.start_agent("a");
    fleet.is_online("a");
    let file = fleet.master.write("w.sloth", workflow(&folder));
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the first step is at work", || log(&folder) == "one\n");
    disk.fill();
    // The database's own files have a little room left.
    let quick = fleet.master.write(
        "quick.sloth",
        format!(
            "workflow.define('w'):tasks({{ task('t'):command(function()
               assert(exec.run(\"sh -c 'echo more >> {folder}/more'\").success)
             end) }})"
        ),
    );
    let (began, mut done) = (Instant::now(), 0);
    loop {
        let (told, said, code) = fleet.run(&quick, &["--delegate-to", "a"]);
        whole(&told);
        if code != Some(0) {
            let text = format!("{said} {told:?}");
            assert!(
                text.contains("disk is full") || text.contains("No space left"),
                "{text}"
            );
            break;
        }
        done += 1;
        assert!(
            began.elapsed() < Duration::from_secs(40),
            "the disk does not fill"
        );
    }
    let more = || std::fs::read_to_string(format!("{folder}/more")).unwrap_or_default();
    std::fs::write(format!("{folder}/go"), "").unwrap();
    // It has ended, and nobody can be told: the run is not over, nor does anything else begin.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(log(&folder), "one\n");
    assert_eq!(fleet.state("a"), "online");
    disk.make_room();
    let (told, outcome) = fleet.follow(&run);
    whole(&told);
    assert_eq!(outcome, "changed", "{told:#?}");
    assert_eq!(log(&folder), "one\ntwo\n");
    assert_eq!(of(&told, "step-finished").len(), 2);
    assert_eq!(
        more().lines().count(),
        done,
        "what was declined was not done"
    );
    drop(fleet);
}

#[test]
fn a_master_whose_disk_is_full_refuses_what_is_new_and_goes_on_with_what_runs_when_there_is_room() {
    let mut fleet = Fleet::start();
    let folder = fleet.agent("a", POLICY) + "/work";
    fleet.kill_master();
    let Some(disk) = Disk::over(&fleet.master.data()) else {
        return;
    };
    fleet.serve();
    fleet.is_online("a");
    let file = fleet.master.write("w.sloth", workflow(&folder));
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the first step is at work", || log(&folder) == "one\n");
    disk.fill();
    let mut refused = None;
    within(Duration::from_secs(40), "a submission is refused", || {
        let (out, said, code) = fleet.ask(&[
            "run",
            "s",
            "-f",
            &file,
            "--yes",
            "--check",
            "--delegate-to",
            "a",
            "--detach",
        ]);
        let id = out.trim();
        if code == Some(0) {
            // What was taken on while there was room is nobody's business here.
            let _ = fleet.ask(&["runs", "cancel", id]);
        } else {
            refused = Some(said);
        }
        refused.is_some()
    });
    let refused = refused.unwrap();
    assert!(
        refused.contains("the disk is full") || refused.contains("disk"),
        "{refused}"
    );
    std::fs::write(format!("{folder}/go"), "").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(log(&folder), "one\n", "nothing goes on that cannot be kept");
    assert_eq!(fleet.state("a"), "online", "its session goes on");
    disk.make_room();
    let (told, outcome) = fleet.follow(&run);
    whole(&told);
    assert_eq!(outcome, "changed", "{told:#?}");
    assert_eq!(log(&folder), "one\ntwo\n");
    let outcomes: Vec<_> = of(&told, "step-finished")
        .iter()
        .map(|step| step["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["changed", "changed"]);
    drop(fleet);
}
