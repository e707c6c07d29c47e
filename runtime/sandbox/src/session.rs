//! One run's steps on this machine: the executor that the scheduler drives.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use sloth_policy::{Effective, Identity, Policy};
use sloth_workflow::{
    Artifact, Bundle, Cancel, Executor, Finished, Outcome, Step, Subject, Task, Workflow, signature,
};

use crate::artifacts::Artifacts;
use crate::foreseen::Foreseen;
use crate::learn::Learner;
use crate::place::name::absolute;
use crate::ports::Secrets;
use crate::ports::audit::Audit;
use crate::ports::stacks::Outputs;
use crate::redact::redacted_finished;
use crate::report::Sink;
use crate::sandbox::{Sandbox, Sight};
use crate::seat::{Idle, Seat};
use crate::secrecy::Opened;

/// What a run is made of.
pub struct Setup {
    pub bundle: Arc<Bundle>,
    /// The name that runs of this kind are grouped under.
    pub stack: String,
    pub workflow: Workflow,
    pub policy: Policy,
    /// The workflow's own files, denied to its steps whatever is granted.
    pub own_files: Vec<PathBuf>,
    /// Observe and plan, but apply nothing.
    pub check: bool,
    /// Carry diffs in changes.
    pub diff: bool,
    /// Where relative paths of tasks without a workdir start; none is each step's scratch folder.
    pub workdir: Option<String>,
    pub sink: Sink,
    /// The file of signatures beside the workflow, if there is one.
    pub signature: Option<String>,
    pub witness: Witness,
}

/// What this node knows of a bundle by itself, and the names that may narrow it. `signature` is the file
/// of signatures beside the workflow.
pub fn identity(
    policy: &Policy,
    bundle: &Bundle,
    signature: Option<&str>,
    workflow: &Workflow,
    stack: &str,
) -> Identity {
    let digest = bundle.digest();
    let file = signature.unwrap_or_default();
    let signers = policy
        .keys()
        .iter()
        .filter(|named| signature::is_signed_by(&named.key, &digest, file))
        .map(|named| named.name.clone())
        .collect();
    Identity {
        digest,
        signers,
        workflow: workflow.name.raw().to_owned(),
        stack: stack.to_owned(),
        values: bundle.values_digest(),
    }
}

/// Who keeps what of a run's calls.
#[derive(Clone, Default)]
pub struct Witness {
    /// The run's id.
    pub run: String,
    pub audit: Option<Arc<dyn Audit>>,
    /// Set in learn mode.
    pub learner: Option<Arc<Learner>>,
}

/// Runs the steps of one run. Steps with the same grants follow each other in one loaded instance;
/// one that trapped, ran out of time or was cancelled is thrown away.
pub struct Session {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) setup: Setup,
    /// The files that tasks leave for each other.
    /// What earlier runs of the stack left.
    pub(crate) earlier: Outputs,
    /// The secrets that its steps have opened.
    pub(crate) opened: Arc<Opened>,
    pub(crate) artifacts: Arc<Artifacts>,
    shared: Sight,
    /// Grants by task; tasks without a declaration of their own share the workflow's.
    sights: Vec<(usize, Sight)>,
    idle: Arc<Idle>,
}

impl Session {
    /// Looks up what earlier runs of the stack left, which may block for a moment.
    pub fn new(sandbox: Arc<Sandbox>, setup: Setup) -> std::io::Result<Self> {
        Self::behind(sandbox, setup, &Foreseen::default())
    }

    /// As [`new`](Self::new), for a run right behind others: in check mode it sees what those would have
    /// made.
    pub fn behind(
        sandbox: Arc<Sandbox>,
        setup: Setup,
        foreseen: &Foreseen,
    ) -> std::io::Result<Self> {
        let secrets = Arc::clone(&sandbox.node.secrets);
        Self::knowing(sandbox, setup, foreseen, secrets)
    }

    /// As [`behind`](Self::behind), with secrets that are not the node's alone.
    pub fn knowing(
        sandbox: Arc<Sandbox>,
        setup: Setup,
        foreseen: &Foreseen,
        secrets: Arc<dyn Secrets>,
    ) -> std::io::Result<Self> {
        let earlier = sandbox.node.stacks.outputs(&setup.stack);
        let earlier = earlier.map_err(std::io::Error::other)?;
        let foreseen = setup.check.then(|| foreseen.clone());
        let identity = identity(
            &setup.policy,
            &setup.bundle,
            setup.signature.as_deref(),
            &setup.workflow,
            &setup.stack,
        );
        let protected: Vec<String> = sandbox
            .node
            .protected
            .iter()
            .chain(&setup.own_files)
            .flat_map(|path| [Some(path.clone()), real(path)])
            .filter_map(|path| path?.into_os_string().into_string().ok())
            .filter_map(|path| absolute(&path, "/").ok())
            .collect();
        let opened = Arc::new(Opened::of(secrets));
        let plugins = Arc::new(setup.policy.plugins().clone());
        let carried = Arc::default();
        let sight = |task: Option<&Task>| {
            let declarations: Vec<_> = setup
                .workflow
                .capabilities
                .iter()
                .chain(task.and_then(|task| task.capabilities.as_ref()))
                .cloned()
                .collect();
            Sight {
                grants: Arc::new(Effective::new(
                    &setup.policy,
                    identity.clone(),
                    &declarations,
                    protected.clone(),
                )),
                foreseen: foreseen.clone(),
                diff: setup.diff,
                protected: Arc::from(protected.as_slice()),
                opened: Arc::clone(&opened),
                plugins: Arc::clone(&plugins),
                carried: Arc::clone(&carried),
            }
        };
        let shared = sight(None);
        let sights = setup
            .workflow
            .tasks
            .iter()
            .enumerate()
            .map(|(index, task)| match task.capabilities {
                None => (0, shared.clone()),
                Some(_) => (index + 1, sight(Some(task))),
            })
            .collect();
        Ok(Self {
            earlier,
            opened,
            artifacts: Arc::new(Artifacts::beneath(
                sandbox.scratch(),
                sandbox.limits().scratch,
            )?),
            shared,
            sandbox,
            setup,
            sights,
            idle: Arc::default(),
        })
    }

    /// Waits until one of the sandbox's places for steps at work is free, and keeps it for as long as the
    /// seat lives; false when the cancel came first. Nothing has happened until then.
    pub async fn admit(&self, seat: &mut Seat, cancel: &Cancel) -> bool {
        if seat.room.is_none() {
            let waiting = std::pin::pin!(Arc::clone(&self.sandbox.room).acquire_owned());
            let given = std::pin::pin!(cancel.given());
            let Either::Left((Ok(room), _)) = select(waiting, given).await else {
                return false;
            };
            seat.room = Some(room);
        }
        true
    }

    /// Takes in a file that a task of the run left elsewhere, of at most `most` bytes; gives its digest as
    /// artifacts have it, and its size. Blocks.
    pub fn take_in(
        &self,
        source: &mut dyn std::io::Read,
        most: u64,
    ) -> std::io::Result<(String, u64)> {
        let most = most.min(self.artifacts.by_task());
        self.artifacts.put(source, most)
    }

    /// Opens a file that a task of the run left here, by its digest. Blocks.
    pub fn left_behind(&self, digest: &str) -> std::io::Result<impl std::io::Read + Send + use<>> {
        if digest.len() != 64 || !digest.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        self.artifacts.open(digest)
    }

    pub(crate) fn sight(&self, subject: Subject) -> &Sight {
        match subject {
            Subject::Task(task) => &self.sights[task].1,
            Subject::Workflow => &self.shared,
        }
    }
}

impl Executor for Session {
    type Seat = Seat;

    fn seat(&self, subject: Subject, artifacts: Vec<Artifact>) -> Seat {
        let grants = match subject {
            Subject::Task(task) => self.sights[task].0,
            Subject::Workflow => 0,
        };
        Seat {
            subject,
            grants,
            artifacts,
            scratch: None,
            loaded: None,
            room: None,
            idle: Arc::clone(&self.idle),
            waiting: Arc::clone(&self.sandbox.waiting),
        }
    }

    async fn execute(&self, seat: &mut Seat, step: Step, cancel: Cancel) -> Finished {
        if !self.admit(seat, &cancel).await {
            return Finished::with(Outcome::Cancelled, "the run was cancelled");
        }
        // A defect of the host must cost one step, never the process.
        let call = AssertUnwindSafe(self.call(seat, &step, cancel.clone())).catch_unwind();
        let finished = match call.await {
            Ok(Ok(finished)) => finished,
            Ok(Err(failure)) => failure.into(),
            Err(_) => Finished::with(
                Outcome::Failed,
                "a defect of sloth-runner ended the task; please report what the log says",
            ),
        };
        let finished = match self.opened.matcher() {
            Some(matcher) => redacted_finished(&matcher, finished),
            None => finished,
        };
        self.keep_stack(&step, finished).await
    }
}

/// Where a path really lies, or will once what is missing is made.
fn real(path: &Path) -> Option<PathBuf> {
    let above = path
        .ancestors()
        .find_map(|above| Some((above, above.canonicalize().ok()?)));
    above.and_then(|(above, real)| Some(real.join(path.strip_prefix(above).ok()?)))
}
