//! The agent as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use sloth_sandbox::ports::audit::Head;
use sloth_workflow::cbor;
use tokio::sync::watch;

use super::config::Config;
use super::link::Link;
use super::plans::Plans;
use super::policies::Policies;
use super::report;
use super::run::Refusal;
use super::runs::Runs;
use super::session;
use crate::store::journal::{self, Contents, Journal};
use crate::wire::assign::Assignment;

/// How long an agent that ends waits for its master to keep what is yet to be delivered. What is left then is
/// delivered when it comes up again.
const FAREWELL: Duration = Duration::from_secs(5);

/// What all parts of the agent share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) journal: Arc<Journal>,
    pub(super) contents: Arc<Contents>,
    pub(super) policies: Policies,
    pub(super) runs: Runs,
    pub(super) link: Link,
    pub(super) plans: Plans,
    pub(super) started: SystemTime,
    /// Tells this process from every other.
    pub(super) instance: String,
    state: watch::Sender<State>,
    /// Whether the master says that nothing more comes.
    drained: AtomicBool,
}

/// Where the agent is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Working,
    /// It takes nothing on, and ends when nothing runs.
    Draining,
    /// It cancels what runs.
    Ending,
}

/// An agent. Clones are the same one.
#[derive(Clone)]
pub struct Agent(pub(super) Arc<Shared>);

/// What can be told of an agent at a moment, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub connected: bool,
    /// Calls that it has taken on.
    pub running: usize,
    pub draining: bool,
}

impl Agent {
    /// Opens what the agent keeps, and settles what an earlier process was in the middle of. An error says
    /// what to do about it.
    pub async fn open(mut config: Config) -> Result<Self, String> {
        let telemetry = config.telemetry.clone();
        if telemetry.is_on() {
            config.node.instances = Some(Arc::new(telemetry.instances()));
        }
        let opened = tokio::task::spawn_blocking(move || {
            let journal = Journal::open(&config.data, config.bounds).map_err(|error| error.0)?;
            if telemetry.is_on() {
                journal.timed_by(telemetry.commits());
            }
            let contents = Contents::beneath(&config.data, config.contents).map_err(|error| {
                let folder = config.data.join("contents");
                format!("failed to open {}: {error}", folder.display())
            })?;
            let policies = Policies::read(config.node.clone(), Arc::clone(&config.policy))?;
            Ok::<_, String>(Shared {
                config,
                journal: Arc::new(journal),
                contents: Arc::new(contents),
                policies,
                runs: Runs::default(),
                link: Link::down(),
                plans: Plans::none(),
                started: SystemTime::now(),
                instance: journal::fresh(),
                state: watch::Sender::new(State::Working),
                drained: AtomicBool::new(false),
            })
        });
        let shared = opened.await.map_err(|defect| defect.to_string())??;
        let open = shared.journal.open_calls().await.map_err(|error| error.0)?;
        for call in open {
            tracing::warn!(run = %call.run, call = call.number, "a call was interrupted");
            let body = report::interrupted(&call);
            shared
                .journal
                .end(call, body)
                .await
                .map_err(|error| error.0)?;
        }
        Ok(Self(Arc::new(shared)))
    }

    /// Works until it is drained or ended.
    pub async fn run(&self) {
        let shared = &self.0;
        let mut state = shared.state.subscribe();
        let over = async {
            // The sender lives as long as this.
            let _ = state.wait_for(|state| *state >= State::Draining).await;
            shared.runs.idle().await;
            let _ = tokio::time::timeout(FAREWELL, shared.delivered()).await;
        };
        tokio::select! {
            () = over => {}
            () = session::keep_up(shared) => {}
        }
        shared.link.set(None);
    }

    /// Reads the policy again, for runs that begin from now on; on an error the one there was goes on to hold.
    ///
    /// Gives what it grants that the policy did not which this process began with, where the sandbox around the process
    /// has to have room for it.
    pub async fn reload(&self) -> Result<Vec<String>, String> {
        let shared = Arc::clone(&self.0);
        let reloaded = tokio::task::spawn_blocking(move || shared.policies.reload()).await;
        reloaded.map_err(|defect| defect.to_string())?
    }

    /// Takes no more calls on; [`run`](Self::run) ends when those that run have ended.
    pub fn drain(&self) {
        self.advance(State::Draining);
    }

    /// Drains, and cancels what runs.
    pub fn end(&self) {
        self.advance(State::Ending);
        self.0.runs.cancel_all();
    }

    fn advance(&self, to: State) {
        self.0.state.send_if_modified(|state| {
            let later = to > *state;
            *state = to.max(*state);
            later
        });
    }

    pub fn status(&self) -> Status {
        Status {
            connected: self.0.link.is_up(),
            running: self.0.runs.count(),
            draining: self.0.is_draining(),
        }
    }
}

impl Shared {
    /// Whether calls are taken on at all, and from this run.
    pub(super) fn accepts(&self, assigned: &Assignment) -> Result<(), Refusal> {
        if *self.state.borrow() >= State::Draining {
            return Err(Refusal::for_now("the agent is draining"));
        }
        // Who gives out work again has undone the drain.
        if self.drained.swap(false, Ordering::Relaxed) {
            tracing::info!("the master gives out work again");
        }
        let only = self.config.only.as_ref();
        match only.and_then(|only| only.refuses(assigned)) {
            Some(reason) => Err(Refusal::of(reason)),
            None => Ok(()),
        }
    }

    /// Where the audit ends, for the master to know. That of an operator's own machine is no business of its.
    pub(super) fn head(&self) -> Option<Head> {
        let is_own = self.config.only.is_some();
        (!is_own).then(|| self.config.audit.head()).flatten()
    }

    /// The master says that nothing more comes.
    pub(super) fn drained(&self) {
        self.drained.store(true, Ordering::Relaxed);
        tracing::info!("the master has drained this agent: it gives out no more work");
    }

    pub(super) fn is_draining(&self) -> bool {
        *self.state.borrow() >= State::Draining || self.drained.load(Ordering::Relaxed)
    }

    /// What is known of the machine, as CBOR.
    pub(super) async fn facts(&self) -> Vec<u8> {
        let known = tokio::task::spawn_blocking(|| cbor::encode(&sloth_sandbox::known_facts()));
        known.await.unwrap_or_default()
    }

    /// Waits until the master keeps everything.
    async fn delivered(&self) {
        while !matches!(self.journal.first().await, Ok(None)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
