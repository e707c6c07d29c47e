//! A machine of one's own for a test: a folder, a policy, and a script whose task is run through
//! the real component.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use sloth_policy::{Denial, Policy};
use sloth_sandbox::ports::Secrets;
use sloth_sandbox::ports::secrets::Unreadable;
use sloth_sandbox::ports::stacks::{self, Stacks};
use sloth_sandbox::ports::state::{self, State};
use sloth_sandbox::{Failure, Node, Sandbox, Session, Setup, Witness, never};
use sloth_workflow::event::Level;
use sloth_workflow::plan::Part;
use sloth_workflow::{Bundle, Cancel, Event, Executor, Finished, Plan, Step, Subject, Value};

/// A folder to work in, and what runs in it may do.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) policy: String,
    pub(crate) check: bool,
    pub(crate) diff: bool,
    /// Text of the task function's body; other top-level code goes to `top`.
    pub(crate) top: String,
    pub(crate) timeout: Duration,
    pub(crate) cancel: Cancel,
    /// What the node keeps.
    pub(crate) state: Arc<dyn State>,
    pub(crate) stacks: Arc<dyn Stacks>,
    pub(crate) node: Node,
    /// What secrets there are; `db-password` from the start.
    pub(crate) secrets: BTreeMap<&'static str, String>,
    /// Whether programs are looked up among this world's own tools and nowhere else.
    own_tools: bool,
    pub(crate) signature: Option<String>,
    pub(crate) witness: Witness,
    /// The units that the node's systemd looks after.
    pub(crate) systemd: Option<Arc<Mutex<crate::systemd::Machine>>>,
}

/// A store of secrets in memory.
#[derive(Debug)]
struct InMemory(BTreeMap<&'static str, String>);

impl Secrets for InMemory {
    fn value(&self, name: &str) -> Result<Option<zeroize::Zeroizing<String>>, Unreadable> {
        Ok(self.0.get(name).cloned().map(Into::into))
    }
}

/// What became of a step.
pub(crate) struct Ran {
    pub(crate) finished: Finished,
    pub(crate) events: Vec<Event>,
}

impl World {
    /// A fresh folder, nothing granted.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            policy: "version = 1\n".into(),
            check: false,
            diff: false,
            top: String::new(),
            timeout: Duration::from_secs(20),
            cancel: never(),
            state: Arc::<state::Memory>::default(),
            stacks: Arc::<stacks::Memory>::default(),
            node: node(),
            secrets: [("db-password", "correct-horse battery".to_owned())].into(),
            own_tools: false,
            signature: None,
            witness: Witness::default(),
            systemd: None,
        }
    }

    /// The same with a policy; `{}` in it stands for the folder.
    pub(crate) fn granting(policy: &str) -> Self {
        let mut world = Self::new();
        let text = format!("version = 1\n{}", policy.replace("{}", &world.path("")));
        world.policy = text;
        world
    }

    /// The same machine with further lines in its policy.
    pub(crate) fn and_granting(mut self, lines: &str) -> Self {
        self.policy.push_str(lines);
        self
    }

    /// A path in the folder, free of links.
    pub(crate) fn path(&self, name: &str) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        let path = if name.is_empty() {
            folder
        } else {
            folder.join(name)
        };
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Puts a script in the place of a program of the node. From then on the node has no others.
    pub(crate) fn tool(&mut self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(&format!("tools/{name}"), script);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self.own_tools = true;
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `body` as a task; `{}` in it stands for the folder.
    pub(crate) fn run(&self, body: &str) -> Ran {
        let body = body.replace("{}", &self.path(""));
        let script = format!(
            "{}\nworkflow.define('w'):tasks({{ task('t'):timeout('{}ms'):command(function(this, \
             params, deps)\n{body}\nend):build() }})",
            self.top,
            self.timeout.as_millis()
        );
        let bundle = Arc::new(bundle(&script));
        runtime().block_on(async {
            let sandbox = self.sandbox();
            let plan = sandbox
                .plan(&bundle, never())
                .await
                .map_err(|f| f.message)
                .unwrap();
            let events = Arc::new(Mutex::new(Vec::new()));
            let sink = Arc::clone(&events);
            let session = Session::new(
                sandbox,
                Setup {
                    bundle,
                    stack: "test".into(),
                    workflow: plan.workflows[0].clone(),
                    policy: Policy::parse(&self.policy, "policy.toml").unwrap(),
                    own_files: Vec::new(),
                    check: self.check,
                    diff: self.diff,
                    workdir: None,
                    sink: Arc::new(move |event| sink.lock().unwrap().push(event)),
                    signature: self.signature.clone(),
                    witness: Witness {
                        run: "0123456789abcdef".into(),
                        ..self.witness.clone()
                    },
                },
            );
            let session = session.unwrap();
            let finished = first_command(&session, self.cancel.clone()).await;
            let events = std::mem::take(&mut *events.lock().unwrap());
            Ran { finished, events }
        })
    }

    fn sandbox(&self) -> Arc<Sandbox> {
        let mut node = self.node.clone();
        node.state = Arc::clone(&self.state);
        node.stacks = Arc::clone(&self.stacks);
        node.secrets = Arc::new(InMemory(self.secrets.clone()));
        if self.own_tools {
            node.path = vec![self.path("tools").into()];
        }
        sandbox_on(node, &self.policy)
    }

    /// Loads a whole script.
    pub(crate) fn plan(script: &str) -> Result<Plan, Failure> {
        let bundle = Arc::new(bundle(script));
        runtime().block_on(sandbox("version = 1\n").plan(&bundle, never()))
    }
}

/// Runs the command of the first task.
pub(crate) async fn first_command(session: &Session, cancel: Cancel) -> Finished {
    let mut seat = session.seat(Subject::Task(0), Vec::new());
    let step = Step {
        subject: Subject::Task(0),
        part: Part::Command,
        attempt: 1,
        deps: Value::empty(),
        stack: Value::empty(),
        about: Value::empty(),
    };
    session.execute(&mut seat, step, cancel).await
}

impl Ran {
    /// The outputs as JSON.
    pub(crate) fn outputs(&self) -> String {
        assert!(self.finished.outcome.succeeded(), "{:?}", self.finished);
        serde_json::to_string(&self.finished.outputs).unwrap()
    }

    /// Outcome and message on one line.
    pub(crate) fn ended(&self) -> String {
        format!(
            "{}: {}",
            self.finished.outcome.word(),
            self.finished.message.escaped()
        )
    }

    pub(crate) fn denials(&self) -> Vec<&Denial> {
        let denial = |event: &'_ Event| matches!(event, Event::Denial { .. });
        self.events
            .iter()
            .filter(|event| denial(event))
            .map(|event| match event {
                Event::Denial { denial, .. } => denial,
                _ => unreachable!("filtered"),
            })
            .collect()
    }

    /// What was logged at a level, line by line.
    pub(crate) fn logged(&self, wanted: Level) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Log { level, message, .. } if *level == wanted => {
                    Some(message.raw().to_owned())
                }
                _ => None,
            })
            .collect()
    }

    /// Summaries of changes.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Change { summary, .. } => Some(summary.raw().to_owned()),
                _ => None,
            })
            .collect()
    }
}

pub(crate) fn bundle(script: &str) -> Bundle {
    Bundle {
        name: "test.sloth".into(),
        script: script.into(),
        carried: [
            ("files/motd".to_owned(), b"carried\n".to_vec()),
            ("files/site.tar".to_owned(), archive()),
        ]
        .into(),
        values: Value::Map([("color".to_owned(), Value::Text("blue".into()))].into()),
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        seed: [7; 32],
    }
}

/// A tar file with one small file, `x`.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    let written = builder.append_data(&mut header, "x", &b"y"[..]);
    written.and_then(|()| builder.into_inner()).unwrap()
}

/// A sandbox under a policy's limits. The compiled guest is shared by all tests of the build.
pub(crate) fn sandbox(policy: &str) -> Arc<Sandbox> {
    sandbox_on(node(), policy)
}

fn sandbox_on(node: Node, policy: &str) -> Arc<Sandbox> {
    let policy = Policy::parse(policy, "policy.toml").unwrap();
    Arc::new(Sandbox::start(node, policy.limits(), 4).unwrap())
}

pub(crate) fn node() -> Node {
    let data = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("data");
    let mut node = Node::in_data_folder(&data, env!("CARGO_BIN_EXE_confine").into());
    node.grace = Duration::from_millis(500);
    node.web = crate::server::web();
    // The machine's own systemd is no test's business.
    node.system_bus = data.join("no-bus");
    node.units = data.join("no-units");
    node
}

pub(crate) fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    })
}
