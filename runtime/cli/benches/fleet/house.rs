//! A master, and a client of it that submits and watches.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};
use sloth_fleet::wire::client::{self, Fleet, Places, Settings};
use sloth_fleet::wire::content;
use sloth_fleet::wire::generated::{ListAgentsRequest, Piece, SubmitRequest, WatchRequest};
use sloth_policy::Policy;
use sloth_sandbox::{Node, Sandbox};
use sloth_workflow::scheduler::cancel;
use sloth_workflow::value::base16;
use sloth_workflow::{Bundle, Event, Record, Value};

/// Processes that end with it.
pub(crate) struct House {
    folder: tempfile::TempDir,
    pub(crate) address: String,
    insecure: bool,
    master: Child,
    agent: Option<Child>,
}

impl Drop for House {
    fn drop(&mut self) {
        for child in [Some(&mut self.master), self.agent.as_mut()]
            .into_iter()
            .flatten()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn program(folder: &Path, data: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sloth-runner"));
    command
        .env_clear()
        .env("HOME", folder)
        .env("PATH", "/usr/bin:/bin")
        .env("SLOTH_RUNNER_DATA_DIR", folder.join(data))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

impl House {
    async fn start(insecure: bool) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = free().to_string();
        let address = format!("127.0.0.1:{port}");
        let mut command = program(folder.path(), "master");
        command.args([
            "master",
            "start",
            "--bind-address",
            "127.0.0.1",
            "--port",
            &port,
        ]);
        if insecure {
            command.arg("--insecure");
        }
        let house = Self {
            master: command.spawn().unwrap(),
            folder,
            address,
            insecure,
            agent: None,
        };
        house.fleet().await;
        house
    }

    pub(crate) async fn insecure() -> Self {
        Self::start(true).await
    }

    /// With an agent `a` that grants what is said.
    pub(crate) async fn with_an_agent(policy: &str) -> Self {
        let mut house = Self::start(false).await;
        let token = program(house.folder.path(), "master")
            .args([
                "token",
                "create",
                "--role",
                "agent",
                "--master",
                &house.address,
            ])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let own = house.folder.path().join("policy.toml");
        std::fs::write(&own, format!("version = 1\n{policy}\n")).unwrap();
        let port = free().to_string();
        let agent = program(house.folder.path(), "agent")
            .args(["agent", "start", "--name", "a", "--master", &house.address])
            .args(["--bind-address", "127.0.0.1", "--port", &port, "--policy"])
            .arg(own)
            .env(
                "SLOTH_RUNNER_TOKEN",
                String::from_utf8(token.stdout).unwrap().trim(),
            )
            .spawn()
            .unwrap();
        house.agent = Some(agent);
        house.has(1).await;
        house
    }

    /// Waits until so many agents are there.
    pub(crate) async fn has(&self, count: usize) {
        let mut fleet = self.fleet().await;
        let began = Instant::now();
        loop {
            let listed = fleet
                .list_agents(ListAgentsRequest::default())
                .await
                .unwrap();
            if listed.into_inner().agents.len() >= count {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "the agents do not come"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A connection, once the master is there.
    pub(crate) async fn fleet(&self) -> Fleet {
        let settings = Settings {
            master: self.address.parse().unwrap(),
            places: Places {
                admin: Some(self.folder.path().join("master/pki/admin.pem")),
                ..Places::default()
            },
            insecure: self.insecure,
        };
        let began = Instant::now();
        loop {
            match client::connect(&settings).await {
                Ok(fleet) => return fleet,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Resident memory of the master, in bytes, at its most.
    pub(crate) fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.master.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes << 10
    }
}

/// A workflow that the master has.
pub(crate) struct Work {
    fleet: Fleet,
    bundle: String,
    plan: Vec<u8>,
}

impl Work {
    pub(crate) async fn of(script: &str, house: &House) -> Self {
        let bundle = Arc::new(Bundle {
            name: "w.sloth".into(),
            script: script.as_bytes().to_vec(),
            carried: [].into(),
            values: Value::empty(),
            started: SystemTime::now(),
            seed: [7; 32],
        });
        let program = Path::new(env!("CARGO_BIN_EXE_sloth-runner"));
        let node = Node::in_data_folder(&house.folder.path().join("client"), program.to_owned());
        let sandbox = Sandbox::start(node, Policy::nothing().limits(), 1).unwrap();
        let (_canceller, cancel) = cancel::pair();
        let plan = sandbox.plan(&bundle, cancel).await;
        let plan = plan.unwrap_or_else(|failure| panic!("{}", failure.message.escaped()));
        let bytes = content::encode(&bundle, None).bytes;
        let digest = format!("sha256:{}", base16(&Sha256::digest(&bytes)));
        let piece = Piece {
            digest: digest.clone(),
            size: bytes.len() as u64,
            data: bytes.into(),
            ..Piece::default()
        };
        let mut fleet = house.fleet().await;
        fleet.upload(tokio_stream::once(piece)).await.unwrap();
        Self {
            fleet,
            bundle: digest,
            plan: plan.cbor().to_vec(),
        }
    }

    /// Runs it on these agents, and waits until the last event is here. Gives how many lines came.
    pub(crate) async fn ended(&self, _house: &House, targets: &[String]) -> u64 {
        let mut fleet = self.fleet.clone();
        let submitted = fleet.submit(SubmitRequest {
            bundle: self.bundle.clone(),
            plan: self.plan.clone(),
            stack: "bench".into(),
            workflow: "w".into(),
            targets: targets.to_vec(),
            ..SubmitRequest::default()
        });
        let run = submitted.await.unwrap().into_inner().run.unwrap().id;
        let watch = WatchRequest {
            run,
            ..WatchRequest::default()
        };
        let mut events = fleet.watch(watch).await.unwrap().into_inner();
        let mut lines = 0;
        loop {
            let record = events
                .message()
                .await
                .unwrap()
                .expect("a run ends with its end");
            let record = Record::try_from(record).unwrap();
            match record.event {
                Event::Output { text, .. } => lines += text.raw().lines().count() as u64,
                Event::RunFinished { outcome, .. } => {
                    assert!(outcome.succeeded(), "{outcome:?}");
                    return lines;
                }
                _ => {}
            }
        }
    }
}
