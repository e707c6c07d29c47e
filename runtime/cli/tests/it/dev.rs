//! `dev`: a master and an agent in one process, from its start to its end.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::house::until;
use crate::program::Program;

/// A `dev` that runs.
struct Dev {
    child: Child,
    /// What it said to type.
    told: Value,
}

impl Dev {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let told = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut said = String::new();
            let _ = child.kill();
            let _ = std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said);
            panic!("{line:?}: {said}")
        });
        Self { child, told }
    }

    fn told(&self, key: &str) -> &str {
        self.told[key].as_str().unwrap()
    }

    /// Ctrl-C; gives the exit code.
    fn end(mut self) -> Option<i32> {
        let process = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(process), Signal::SIGINT).unwrap();
        until("it ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }

    fn ask(&self, program: &Program, arguments: &[&str]) -> (String, String, Option<i32>) {
        let mut all = arguments.to_vec();
        let at = all.iter().position(|word| *word == "--");
        let at = at.unwrap_or(all.len());
        let way = [
            "--master",
            self.told("master"),
            "--credential",
            self.told("credential"),
        ];
        all.splice(at..at, way);
        let ended = program.run(&all);
        (ended.stdout, ended.stderr, ended.code)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const GREET: &str = "workflow.define('w'):tasks({ task('t'):command(function()
    return exec.run('echo hello').success end) })";

/// A home in which the guest is compiled already, and a folder for passing things.
fn home(program: &Program) -> PathBuf {
    let share = PathBuf::from(program.path("share/sloth-runner"));
    std::fs::create_dir_all(&share).unwrap();
    std::fs::create_dir(program.path("passing")).unwrap();
    let copied = Command::new("cp")
        .arg("-al")
        .args([program.data().join("cache"), share])
        .status();
    assert!(copied.unwrap().success());
    PathBuf::from(program.path("passing"))
}

#[test]
fn dev_is_a_fleet_that_leaves_nothing_behind() {
    let program = Program::keeping();
    let passing = home(&program);
    let policy = program.policy("process.run = ['echo **']");
    let mut command = program.command(&["dev", "--output", "json", "--policy", &policy]);
    command.env_remove("SLOTH_RUNNER_DATA_DIR");
    command
        .env("XDG_DATA_HOME", program.path("share"))
        .env("TMPDIR", &passing);
    let dev = Dev::start(command);
    assert!(Path::new(dev.told("data-dir")).starts_with(&passing));
    let file = program.write("w.sloth", GREET);
    let (_, said, code) = dev.ask(
        &program,
        &["run", "s", "-f", &file, "--delegate-to", "dev", "--yes"],
    );
    assert_eq!(code, Some(0), "{said}");
    // Nothing that was not granted, nobody without a credential, and no speech without TLS.
    let (_, said, code) = dev.ask(
        &program,
        &["agent", "exec", "dev", "--", "cat", "/etc/shadow"],
    );
    assert_eq!(code, Some(255), "{said}");
    assert!(said.contains("process.run is not granted"), "{said}");
    for more in [&[][..], &["--insecure"]] {
        let mut arguments = vec!["agent", "list", "--master", dev.told("master")];
        arguments.extend(more);
        assert_ne!(program.run(&arguments).code, Some(0), "{more:?}");
    }
    let open = program.run(&["dev", "--insecure"]);
    assert_eq!(open.code, Some(2), "{}", open.stderr);
    assert_eq!(dev.end(), Some(0));
    let left: Vec<_> = std::fs::read_dir(&passing).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn with_a_data_folder_dev_goes_on_where_it_was_and_grants_nothing_unasked() {
    let program = Program::keeping();
    let file = program.write("w.sloth", GREET);
    let start = || Dev::start(program.command(&["dev", "--output", "json", "--name", "mine"]));
    let dev = start();
    let credential = dev.told("credential").to_owned();
    let run = ["run", "s", "-f", &file, "--delegate-to", "mine", "--yes"];
    assert_eq!(dev.ask(&program, &run).2, Some(3));
    assert_eq!(dev.end(), Some(0));
    let dev = start();
    assert_eq!(dev.told("credential"), credential);
    let (listed, said, code) = dev.ask(&program, &["runs", "list", "--output", "json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(listed.contains("denied"), "{listed}");
    assert_eq!(dev.end(), Some(0));
}
