//! What an agent is started with.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sloth_policy::Policy;
use sloth_sandbox::Node;
use sloth_sandbox::ports::audit::Audit;
use sloth_workflow::Subject;
use sloth_workflow::placement::Share;
use tonic::transport::Endpoint;

use crate::store::journal::Bounds;
use crate::telemetry::Telemetry;
use crate::wire::assign::Assignment;
use crate::wire::client::{Keeper, Reached, Settings, reach};

/// How long the connection may be silent before it is asked whether it still lives, and how long it then has
/// to answer.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How the master is reached. Trust is settled here: who answers is the master.
pub trait Dial: Send + Sync {
    fn dial(&self) -> Dialled<'_>;
}

/// A connection to come.
pub type Dialled<'a> =
    Pin<Box<dyn Future<Output = Result<Reached, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// A connection without TLS, or with what is set on the endpoint.
#[derive(Clone, Debug)]
pub struct Plain(pub Endpoint);

impl Plain {
    /// Reaches a master by its host and port.
    pub fn to(master: &str) -> Result<Self, String> {
        Endpoint::from_shared(format!("http://{master}"))
            .map(Self)
            .map_err(|error| format!("{} is no HOST:PORT: {error}", master.escape_debug()))
    }
}

impl Dial for Plain {
    fn dial(&self) -> Dialled<'_> {
        Box::pin(async move { Ok(reach::silent(alive(self.0.clone()).connect().await?)) })
    }
}

/// Over TLS, proving the agent's name. A renewed certificate holds from the next connection on.
impl Dial for Keeper {
    fn dial(&self) -> Dialled<'_> {
        Box::pin(async move { Ok(reach::silent(Keeper::dial(self).await?)) })
    }
}

/// As an operator, by the right that all commands of that person have.
impl Dial for Settings {
    fn dial(&self) -> Dialled<'_> {
        Box::pin(async move { Ok(Settings::dial(self).await?) })
    }
}

/// An endpoint with the keepalive that sessions need to find out that a link is gone.
fn alive(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(KEEPALIVE)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
}

/// A policy, and what it says for people to read.
#[derive(Clone, Debug)]
pub struct Granting {
    pub policy: Policy,
    /// TOML.
    pub text: String,
}

/// Reads the policy from where it is kept; an error names the file and the line.
pub type ReadPolicy = Arc<dyn Fn() -> Result<Granting, String> + Send + Sync>;

/// The one run that a session of an operator's own machine takes part in, as it was submitted there.
#[derive(Clone, Debug)]
pub struct Only {
    pub run: String,
    /// Digest of the encoded bundle that the operator submitted.
    pub bundle: String,
    pub stack: String,
    pub workflow: String,
    /// Nothing is to be changed.
    pub check: bool,
    /// What of it the operator lets be here, and asked for.
    pub share: Share,
}

impl Only {
    /// Why an assignment is none of what was submitted, if it is none.
    pub(super) fn refuses(&self, assigned: &Assignment) -> Option<&'static str> {
        let terms = &assigned.terms;
        if self.run != assigned.call.run {
            Some("this session takes part in another run")
        } else if self.bundle != terms.bundle {
            Some("that is not the bundle that was submitted here")
        } else if self.workflow != terms.workflow || self.stack != terms.stack {
            Some("that is not the workflow, or not the stack, that was submitted here")
        } else if self.check && !terms.check {
            Some("what was submitted here was to be checked, and nothing changed")
        } else if !self.shares(assigned.step.subject) {
            Some(
                "that task is not to be on this machine, or was left out when the run was submitted here",
            )
        } else {
            None
        }
    }

    fn shares(&self, subject: Subject) -> bool {
        match subject {
            Subject::Task(task) => self.share.tasks.contains(&task),
            Subject::Workflow => self.share.frame,
        }
    }
}

/// How often it is tried again to reach the master: the first and the longest wait, spread by half.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub first: Duration,
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(15),
        }
    }
}

/// What an agent is started with.
pub struct Config {
    /// The name that its certificate proves; `local` for an operator's own machine.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// Where it keeps its journal and its contents.
    pub data: PathBuf,
    /// Of the program.
    pub version: String,
    /// The machine, with its state, its stacks and its secrets.
    pub node: Node,
    pub dial: Arc<dyn Dial>,
    pub policy: ReadPolicy,
    pub audit: Arc<dyn Audit>,
    /// Where its own port can be reached; empty if that is told to nobody.
    pub report_address: String,
    pub only: Option<Only>,
    /// Most bytes of contents that are kept.
    pub contents: u64,
    pub bounds: Bounds,
    pub patience: Patience,
    pub telemetry: Telemetry,
}
