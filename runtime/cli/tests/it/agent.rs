//! `agent start`, as a service has it: signals, systemd, the environment.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::program::Program;

/// A service that was started.
struct Service {
    child: Child,
    said: Arc<Mutex<String>>,
    /// What systemd was told.
    told: UnixDatagram,
    port: u16,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Service {
    /// Starts an agent whose master is not there.
    fn start(program: &Program, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let socket = program.path(&format!("notify-{}", free()));
        let told = UnixDatagram::bind(&socket).unwrap();
        told.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let port = free();
        let mut arguments = vec!["agent", "start", "--insecure"];
        arguments.extend(more);
        let mut child = program
            .command(&arguments)
            .env("NOTIFY_SOCKET", &socket)
            .env("SLOTH_RUNNER_NAME", "web-01")
            .env("SLOTH_RUNNER_MASTER_ADDR", format!("127.0.0.1:{}", free()))
            .env("SLOTH_RUNNER_PORT", port.to_string())
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (own, stderr) = (Arc::clone(&said), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut said = own.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        Self {
            child,
            said,
            told,
            port,
        }
    }

    /// Waits until systemd is told something that begins so; gives it.
    fn tells(&self, what: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let Ok(length) = self.told.recv(&mut buffer) else {
                panic!("{what} was not told: {}", self.said.lock().unwrap())
            };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with(what) {
                return text;
            }
        }
    }

    fn says(&self, what: &str) {
        let began = Instant::now();
        while !self.said.lock().unwrap().contains(what) {
            let said = self.said.lock().unwrap().clone();
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "no {what} in {said}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    fn ends(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn systemd_is_told_and_a_term_ends_it_well() {
    let program = Program::keeping();
    let mut service = Service::start(&program, &[], &[("WATCHDOG_USEC", "3000000")]);
    service.tells("READY=1");
    service.tells("STATUS=waiting for the master, nothing runs");
    service.tells("WATCHDOG=1");
    assert!(std::net::TcpStream::connect(("127.0.0.1", service.port)).is_ok());
    service.signal(Signal::SIGTERM);
    service.tells("STOPPING=1");
    assert_eq!(service.ends().code(), Some(0));
}

#[test]
fn a_policy_is_read_again_and_a_wrong_one_is_said_with_its_line() {
    let program = Program::keeping();
    let policy = program.policy("[files]\nread = ['/etc/hosts']\n");
    let service = Service::start(&program, &["--policy", &policy], &[]);
    service.tells("READY=1");
    program.policy("[files]\nraed = ['/etc/hosts']\n");
    service.signal(Signal::SIGHUP);
    service.tells("RELOADING=1");
    service.tells("READY=1");
    service.says(&format!("goes on to hold: {policy}:3"));
    program.policy("[files]\nread = ['/etc/**']\n");
    service.signal(Signal::SIGHUP);
    service.says("the policy was read again");
    assert!(
        !service
            .said
            .lock()
            .unwrap()
            .contains("sandbox was not made for")
    );
}

#[test]
fn a_reload_that_grants_what_the_unit_has_no_room_for_says_that_it_takes_a_restart() {
    let program = Program::keeping();
    let policy = program.policy("[files]\nwrite = ['/srv/site/**']\n");
    let service = Service::start(&program, &["--policy", &policy], &[]);
    service.tells("READY=1");
    program
        .policy("[files]\nwrite = ['/srv/site/new/*', '/opt/app/**']\n[process]\nrun = ['ls']\n");
    service.signal(Signal::SIGHUP);
    service.says("sandbox was not made for writing beneath /opt/app, starting programs");
    service.says("restart it");
}

#[test]
fn the_policy_in_the_data_folder_holds_without_a_flag() {
    let program = Program::keeping();
    std::fs::write(program.data().join("policy.toml"), "version = 2\n").unwrap();
    let ended = program.run(&[
        "agent",
        "start",
        "--insecure",
        "--name",
        "a",
        "--master",
        "127.0.0.1:1",
        "--port",
        "0",
    ]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("policy.toml:1"), "{}", ended.stderr);
}

#[test]
fn the_key_to_the_fleet_is_dropped_with_a_warning() {
    let program = Program::keeping();
    let key = [("SLOTH_RUNNER_API_KEY", "slothkey_secret")];
    let service = Service::start(&program, &["--log-format", "json"], &key);
    service.tells("READY=1");
    let environment = std::fs::read(format!("/proc/{}/environ", service.child.id())).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(!environment.contains("slothkey_secret"), "{environment}");
    assert!(environment.contains("SLOTH_RUNNER_NAME"));
    service.says("SLOTH_RUNNER_API_KEY is dropped");
    let said = service.said.lock().unwrap().clone();
    for line in said.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON");
    }
}

#[test]
fn a_log_for_the_journal_needs_a_journal() {
    let program = Program::keeping();
    let ended = program.run(&["version", "--log-format", "journald"]);
    let listens = std::path::Path::new("/run/systemd/journal/socket").exists();
    assert_eq!(ended.code, Some(if listens { 0 } else { 2 }));
    assert!(listens || ended.stderr.contains("take --log-format text or json"));
}

#[test]
fn two_agents_do_not_share_a_data_folder() {
    let program = Program::keeping();
    let first = Service::start(&program, &[], &[]);
    first.tells("READY=1");
    let mut second = Service::start(&program, &[], &[]);
    assert_eq!(second.ends().code(), Some(2));
    second.says("give each a --data-dir of its own");
}

#[test]
fn what_cannot_be_is_refused_with_the_way_out() {
    let program = Program::keeping();
    let start = |more: &[&str]| {
        let mut arguments = vec!["agent", "start", "--port", "0"];
        arguments.extend(more);
        let ended = program.run(&arguments);
        assert_eq!(ended.code, Some(2), "{more:?}: {}", ended.stderr);
        ended.stderr
    };
    let here = ["--master", "127.0.0.1:1", "--insecure"];
    let with = |more: &[&'static str]| [&here[..], more].concat();
    for (arguments, because) in [
        (with(&["--name", "a b"]), "cannot name an agent"),
        (with(&["--name", "local"]), "every operator's own machine"),
        (
            with(&["--name", "a", "--labels", "role"]),
            "write key=value",
        ),
        (
            with(&["--name", "a", "--labels", "r=a,r=b"]),
            "`r` is given twice",
        ),
        (with(&["--name", "a", "--policy", "/no/such"]), "/no/such"),
        (
            with(&["--name", "a", "--drain-timeout", "soon"]),
            "is not a duration",
        ),
        (
            with(&["--name", "a", "--bind-address", "0.0.0.0"]),
            "without TLS",
        ),
        (
            vec!["--name", "a", "--master", "10.0.0.1:1", "--insecure"],
            "anybody could read along",
        ),
        (vec!["--master", "127.0.0.1:1", "--insecure"], "--name"),
        (
            vec!["--master", "127.0.0.1:1", "--name", "a"],
            "no certificate",
        ),
        (
            vec![
                "--master",
                "127.0.0.1:1",
                "--name",
                "a",
                "--token",
                "slothkey_x",
            ],
            "token",
        ),
    ] {
        let said = start(&arguments);
        assert!(said.contains(because), "{said} and not {because}");
    }
}
