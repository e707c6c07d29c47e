//! A master and its agents as processes with real TLS on loopback, which a test starts, kills and starts again.

use std::ffi::OsStr;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::program::Program;

/// A process of the fleet, which ends with its test.
pub(crate) struct Service {
    child: Child,
}

/// A master with agents, each in a folder of its own.
pub(crate) struct Fleet {
    pub(crate) master: Program,
    pub(crate) address: String,
    /// Further options of `master start`.
    pub(crate) options: Vec<String>,
    /// What starts the master and its operators, where they are on a machine of their own.
    pub(crate) inside: Vec<String>,
    serving: Option<Service>,
    pub(crate) agents: Vec<Member>,
}

/// An agent of the fleet.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) program: Program,
    policy: String,
    /// Further options of `agent start`.
    pub(crate) options: Vec<String>,
    /// What starts it, where it is on a machine of its own.
    pub(crate) inside: Vec<String>,
    pub(crate) service: Option<Service>,
}

pub(crate) fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until it is so.
pub(crate) fn until(what: &str, so: impl FnMut() -> bool) {
    within(Duration::from_mins(1), what, so);
}

pub(crate) fn within(limit: Duration, what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The same command beneath a program that starts it.
pub(crate) fn beneath(command: &Command, wrapper: &[String]) -> Command {
    let words: Vec<&OsStr> = wrapper
        .iter()
        .map(OsStr::new)
        .chain([command.get_program()])
        .chain(command.get_args())
        .collect();
    let (first, rest) = words.split_first().expect("a command has a name");
    let mut whole = Command::new(first);
    whole
        .args(rest)
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .stdin(Stdio::null());
    if let Some(folder) = command.get_current_dir() {
        whole.current_dir(folder);
    }
    whole
}

impl Service {
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { child }
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The process that was asked for, also where another one started it.
    pub(crate) fn process(&self) -> u32 {
        let own = self.child.id();
        let named = std::fs::read_to_string(format!("/proc/{own}/comm")).unwrap_or_default();
        let beneath = format!("/proc/{own}/task/{own}/children");
        let child = std::fs::read_to_string(beneath).unwrap_or_default();
        match child.split_whitespace().next() {
            Some(child) if named.trim() == "strace" => child.parse().unwrap(),
            _ => own,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let process = i32::try_from(self.process()).unwrap();
        let _ = kill(Pid::from_raw(process), signal);
    }

    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes << 10
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let process = self.process();
        self.signal(Signal::SIGKILL);
        // Beneath another program it may outlive that for a moment, and hold its port.
        let began = Instant::now();
        while process != self.child.id()
            && Path::new(&format!("/proc/{process}")).exists()
            && began.elapsed() < Duration::from_secs(5)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Member {
    /// What is started, for a master at this address.
    pub(crate) fn command(&self, master: &str, more: &[&str]) -> Command {
        let port = free().to_string();
        let mut arguments = vec!["agent", "start", "--name", &self.name, "--master", master];
        arguments.extend(["--policy", &self.policy]);
        if !self.options.iter().any(|option| option == "--port") {
            arguments.extend(["--port", &port]);
        }
        arguments.extend(self.options.iter().map(String::as_str));
        arguments.extend(more);
        if !self.options.iter().any(|option| option == "--bind-address") {
            arguments.extend(["--bind-address", "127.0.0.1"]);
        }
        beneath(&self.program.command(&arguments), &self.inside)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.program.path("agent.log").into()
    }
}

impl Fleet {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(options: &[&str]) -> Self {
        let mut fleet = Self::resting(options);
        fleet.serve();
        fleet
    }

    pub(crate) fn resting(options: &[&str]) -> Self {
        Self {
            master: Program::keeping(),
            address: format!("127.0.0.1:{}", free()),
            options: options.iter().map(ToString::to_string).collect(),
            inside: Vec::new(),
            serving: None,
            agents: Vec::new(),
        }
    }

    pub(crate) fn serve(&mut self) {
        self.serving = Some(Service::start(self.master_command(), &self.master_log()));
        until("the master listens", || {
            if self.inside.is_empty() {
                TcpStream::connect(&self.address).is_ok()
            } else {
                self.ask(&["agent", "list"]).2 == Some(0)
            }
        });
    }

    /// Starts the master beneath another program, and waits for nothing.
    pub(crate) fn serve_beneath(&mut self, wrapper: &[String]) {
        let command = beneath(&self.master_command(), wrapper);
        self.serving = Some(Service::start(command, &self.master_log()));
    }

    pub(crate) fn master_command(&self) -> Command {
        let (host, port) = self.address.rsplit_once(':').unwrap();
        let mut arguments = vec!["master", "start", "--bind-address", host, "--port", port];
        arguments.extend(self.options.iter().map(String::as_str));
        beneath(&self.master.command(&arguments), &self.inside)
    }

    pub(crate) fn master_log(&self) -> PathBuf {
        self.master.path("master.log").into()
    }

    pub(crate) fn serving(&mut self) -> &mut Service {
        self.serving.as_mut().expect("the master was started")
    }

    /// Ends the master without a word, and waits until it is gone.
    pub(crate) fn kill_master(&mut self) {
        self.serving = None;
    }

    /// Enrols and starts an agent that grants what is said.
    pub(crate) fn agent(&mut self, name: &str, policy: &str) -> String {
        self.agent_with(name, policy, &[])
    }

    pub(crate) fn agent_with(&mut self, name: &str, policy: &str, options: &[&str]) -> String {
        self.agent_inside(name, policy, options, &[])
    }

    pub(crate) fn agent_inside(
        &mut self,
        name: &str,
        policy: &str,
        options: &[&str],
        inside: &[String],
    ) -> String {
        let program = Program::keeping();
        let token = self.ask(&["token", "create", "--role", "agent"]);
        let file = program.write("token", token.0);
        let policy = program.policy(policy);
        // Programs of steps may write here: where the policy lies they may not, whatever it grants.
        std::fs::create_dir(program.path("work")).unwrap();
        let folder = program.path("");
        let mut options: Vec<String> = options.iter().map(ToString::to_string).collect();
        options.extend(["--labels".to_owned(), "role=web".to_owned()]);
        let mut member = Member {
            name: name.to_owned(),
            program,
            policy,
            options,
            inside: inside.to_vec(),
            service: None,
        };
        let command = member.command(&self.address, &["--token-file", &file]);
        member.service = Some(Service::start(command, &member.log()));
        self.agents.push(member);
        self.is_online(name);
        folder
    }

    pub(crate) fn member(&mut self, name: &str) -> &mut Member {
        let mut members = self.agents.iter_mut();
        members
            .find(|member| member.name == name)
            .expect("it was enrolled")
    }

    /// Ends an agent without a word, and waits until it is gone.
    pub(crate) fn kill_agent(&mut self, name: &str) {
        self.member(name).service = None;
    }

    /// Starts an agent that was enrolled, and waits for nothing.
    pub(crate) fn start_agent(&mut self, name: &str) {
        let address = self.address.clone();
        let member = self.member(name);
        let command = member.command(&address, &[]);
        member.service = Some(Service::start(command, &member.log()));
    }

    pub(crate) fn start_agent_beneath(&mut self, name: &str, wrapper: &[String]) {
        let address = self.address.clone();
        let member = self.member(name);
        let command = beneath(&member.command(&address, &[]), wrapper);
        member.service = Some(Service::start(command, &member.log()));
    }

    pub(crate) fn state(&self, name: &str) -> String {
        let listed = self.ask(&["agent", "list", "--output", "json"]).0;
        let listed: Value = serde_json::from_str(&listed).unwrap_or_default();
        let agents = listed["agents"].as_array().cloned().unwrap_or_default();
        let mut named = agents.iter().filter(|agent| agent["name"] == name);
        let state = named.next().map(|agent| agent["state"].clone());
        state
            .unwrap_or_default()
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn is_online(&self, name: &str) {
        until("the agent is online", || self.state(name) == "online");
    }

    /// What an operator on the master's machine is answered: standard output, standard error and the exit code.
    pub(crate) fn ask(&self, arguments: &[&str]) -> (String, String, Option<i32>) {
        let ended = self.asking(arguments).output().unwrap();
        let ended = crate::program::Ended::from(ended);
        (ended.stdout, ended.stderr, ended.code)
    }

    /// The command that asks the master.
    pub(crate) fn asking(&self, arguments: &[&str]) -> Command {
        let mut all = arguments.to_vec();
        let at = all
            .iter()
            .position(|word| *word == "--")
            .unwrap_or(all.len());
        all.splice(at..at, ["--master", self.address.as_str()]);
        beneath(&self.master.command(&all), &self.inside)
    }

    pub(crate) fn run(&self, file: &str, more: &[&str]) -> (Vec<Value>, String, Option<i32>) {
        let mut arguments = vec!["run", "my-stack", "-f", file, "--yes", "--output", "json"];
        arguments.extend(more);
        let (out, said, code) = self.ask(&arguments);
        (events(&out), said, code)
    }

    /// Submits a run and leaves it to the master; gives its id.
    pub(crate) fn submit(&self, file: &str, more: &[&str]) -> String {
        let mut arguments = vec!["run", "my-stack", "-f", file, "--yes", "--detach"];
        arguments.extend(more);
        let (id, said, code) = self.ask(&arguments);
        assert_eq!(code, Some(0), "{said}");
        id.trim().to_owned()
    }

    /// A run's events, once it has ended; and its outcome.
    pub(crate) fn follow(&self, run: &str) -> (Vec<Value>, String) {
        let (out, said, code) = self.ask(&["runs", "logs", run, "-f", "--output", "json"]);
        assert!(!out.is_empty(), "{said}");
        let events = events(&out);
        let outcome = events.last().unwrap()["outcome"]
            .as_str()
            .unwrap()
            .to_owned();
        let succeeded = ["ok", "changed"].contains(&outcome.as_str());
        assert_eq!(code == Some(0), succeeded, "{outcome}: {said}");
        (events, outcome)
    }

    /// A fleet with everything that this one keeps, in folders and on ports of its own. Nothing of either runs.
    pub(crate) fn copy(&self) -> Self {
        let mut copy = Self::resting(&[]);
        copy.options.clone_from(&self.options);
        copied(&self.master.data(), &copy.master.data());
        for member in &self.agents {
            let program = Program::keeping();
            copied(&member.program.data(), &program.data());
            let policy = std::fs::read_to_string(&member.policy).unwrap();
            let policy = policy.replace(&member.program.path(""), &program.path(""));
            copy.agents.push(Member {
                name: member.name.clone(),
                policy: program.write("policy.toml", policy),
                program,
                options: member.options.clone(),
                inside: member.inside.clone(),
                service: None,
            });
        }
        copy
    }
}

/// Copies a data folder, but for the compiled guest.
pub(crate) fn copied(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        if entry.file_name() == "cache" {
            continue;
        }
        let done = Command::new("cp")
            .arg("-a")
            .args([entry.path().as_path(), to])
            .status()
            .unwrap();
        assert!(done.success());
    }
}

pub(crate) fn events(lines: &str) -> Vec<Value> {
    let events = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    events.collect()
}

/// Numbers have no gap and come once.
pub(crate) fn whole(events: &[Value]) {
    let numbers: Vec<_> = events
        .iter()
        .map(|event| event["number"].as_u64().unwrap())
        .collect();
    let expected: Vec<_> = (1..=events.len() as u64).collect();
    assert_eq!(numbers, expected);
}

pub(crate) fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["event"] == kind)
        .collect()
}
