//! An agent with a data folder of its own, and a workflow for it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sloth_fleet::agent::{Agent, Config, Granting, Patience, Plain};
use sloth_fleet::store::journal::Bounds;
use sloth_fleet::store::node::audit::Log;
use sloth_fleet::wire::content;
use sloth_fleet::wire::generated::{Assign, CallName};
use sloth_policy::Policy;
use sloth_sandbox::Node;
use sloth_workflow::{Bundle, Value};
use tokio::task::JoinHandle;
use tonic::transport::Endpoint;

use super::master::Master;

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) master: Master,
    pub(crate) policy: Arc<Mutex<String>>,
    pub(crate) bounds: Bounds,
    /// The digest of the bundle.
    pub(crate) bundle: String,
}

/// An agent at work. Dropped, it is gone as if its process had been killed, but for what it had asked the
/// journal to write.
pub(crate) struct Working {
    pub(crate) agent: Agent,
    pub(crate) task: JoinHandle<()>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) const RUN: &str = "0123456789abcdef";

impl World {
    /// A master that knows a workflow `w` of this script, and a policy. `{}` in both is a folder.
    pub(crate) async fn of(script: &str, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let master = Master::start().await;
        let bundle = bundle(&script.replace("{}", &path));
        let bundle = master.content(content::encode(&bundle, None).bytes);
        let policy = format!("version = 1\n{}", policy.replace("{}", &path));
        Self {
            folder,
            master,
            policy: Arc::new(Mutex::new(policy)),
            bounds: Bounds::default(),
            bundle,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn config(&self) -> Config {
        let text = Arc::clone(&self.policy);
        let policy = move || granting(&text.lock().unwrap());
        config(
            &self.path("data"),
            &self.master.address.to_string(),
            self.bounds,
            Arc::new(policy),
        )
    }

    /// Starts an agent over this world's data folder.
    pub(crate) async fn start(&self) -> Working {
        self.start_with(self.config()).await
    }

    pub(crate) async fn start_with(&self, config: Config) -> Working {
        let data = config.data.clone();
        // Calls of an agent before it may still be ending.
        let lock = || std::fs::File::open(data.join("journal.db.lock"));
        super::master::until("the journal to be free", || {
            lock().is_err() || lock().is_ok_and(|lock| lock.try_lock().is_ok())
        })
        .await;
        let agent = Agent::open(config).await.unwrap();
        let own = agent.clone();
        let task = tokio::spawn(async move { own.run().await });
        Working { agent, task }
    }

    /// The first call of the first task's command.
    pub(crate) fn assign(&self, call: u64, task: u32, name: &str) -> Assign {
        Assign {
            call: Some(self.call(call)),
            bundle: self.bundle.clone(),
            stack_name: "stack".into(),
            workflow: "w".into(),
            task: Some(task),
            task_name: name.into(),
            part: "command".into(),
            attempt: 1,
            seat: call,
            ..Assign::default()
        }
    }

    #[expect(clippy::unused_self, reason = "reads as what it is a call of")]
    pub(crate) fn call(&self, call: u64) -> CallName {
        CallName {
            run: RUN.into(),
            call,
            fence: 1,
        }
    }
}

pub(crate) fn granting(text: &str) -> Result<Granting, String> {
    let policy = Policy::parse(text, "policy.toml").map_err(|error| error.to_string())?;
    Ok(Granting {
        policy,
        text: text.to_owned(),
    })
}

pub(crate) fn config(
    data: &Path,
    master: &str,
    bounds: Bounds,
    policy: sloth_fleet::agent::ReadPolicy,
) -> Config {
    let mut node = Node::in_data_folder(data, beside("confine"));
    node.grace = Duration::from_secs(2);
    // Compiled once for all tests.
    node.cache = beside("").join("test-agent-cache");
    Config {
        name: "web-01".into(),
        labels: [("role".to_owned(), "web".to_owned())].into(),
        data: data.to_owned(),
        version: "0.1.0".into(),
        node,
        dial: Arc::new(Plain(
            Endpoint::from_shared(format!("http://{master}")).unwrap(),
        )),
        policy,
        audit: Arc::new(Log::open(&data.join("audit")).unwrap()),
        report_address: String::new(),
        telemetry: sloth_fleet::telemetry::Telemetry::off(),
        only: None,
        contents: 64 << 20,
        bounds,
        patience: Patience {
            first: Duration::from_millis(50),
            longest: Duration::from_millis(200),
        },
    }
}

/// A program of the build folder.
fn beside(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join(name)
}

pub(crate) fn bundle(script: &str) -> Bundle {
    Bundle {
        name: "w.sloth".into(),
        script: script.as_bytes().to_vec(),
        carried: [].into(),
        values: Value::empty(),
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        seed: [7; 32],
    }
}
