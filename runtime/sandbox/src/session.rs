//! One run's steps on this machine: the executor that the scheduler drives.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use sloth_policy::{Effective, Policy};
use sloth_workflow::{
    Artifact, Bundle, Cancel, Executor, Finished, Outcome, Step, Subject, Task, Workflow,
};
use tokio::sync::Semaphore;

use crate::artifacts::Artifacts;
use crate::place::name::absolute;
use crate::place::planned::Planned;
use crate::report::Sink;
use crate::sandbox::{Sandbox, Sight};
use crate::seat::{Idle, Seat};

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
}

/// Runs the steps of one run. Steps with the same grants follow each other in one loaded instance;
/// one that trapped, ran out of time or was cancelled is thrown away.
pub struct Session {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) setup: Setup,
    /// The files that tasks leave for each other.
    pub(crate) artifacts: Arc<Artifacts>,
    shared: Sight,
    /// Grants by task; tasks without a declaration of their own share the workflow's.
    sights: Vec<(usize, Sight)>,
    idle: Arc<Idle>,
    room: Arc<Semaphore>,
}

impl Session {
    pub fn new(sandbox: Arc<Sandbox>, setup: Setup) -> std::io::Result<Self> {
        let digest = setup.bundle.digest();
        let planned = setup.check.then(|| Arc::new(Planned::default()));
        let protected: Vec<String> = sandbox
            .node
            .protected
            .iter()
            .chain(&setup.own_files)
            .flat_map(|path| [Some(path.clone()), real(path)])
            .filter_map(|path| path?.into_os_string().into_string().ok())
            .filter_map(|path| absolute(&path, "/").ok())
            .collect();
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
                    &digest,
                    &declarations,
                    protected.clone(),
                )),
                planned: planned.clone(),
                diff: setup.diff,
                protected: Arc::from(protected.as_slice()),
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
        let room = Semaphore::new(sandbox.limits().concurrent_steps as usize);
        Ok(Self {
            artifacts: Arc::new(Artifacts::beneath(
                sandbox.scratch(),
                sandbox.limits().scratch,
            )?),
            shared,
            sandbox,
            setup,
            sights,
            idle: Arc::default(),
            room: Arc::new(room),
        })
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
            most: self.sandbox.limits().concurrent_steps as usize,
        }
    }

    async fn execute(&self, seat: &mut Seat, step: Step, cancel: Cancel) -> Finished {
        if seat.room.is_none() {
            let waiting = std::pin::pin!(Arc::clone(&self.room).acquire_owned());
            let given = std::pin::pin!(cancel.given());
            let Either::Left((Ok(room), _)) = select(waiting, given).await else {
                return Finished::with(Outcome::Cancelled, "the run was cancelled");
            };
            seat.room = Some(room);
        }
        // A defect of the host must cost one step, never the process.
        let call = AssertUnwindSafe(self.call(seat, &step, cancel.clone())).catch_unwind();
        match call.await {
            Ok(Ok(finished)) => finished,
            Ok(Err(failure)) => failure.into(),
            Err(_) => Finished::with(
                Outcome::Failed,
                "a defect of sloth-runner ended the task; please report what the log says",
            ),
        }
    }
}

/// Where a path really lies, or will once what is missing is made.
fn real(path: &Path) -> Option<PathBuf> {
    let above = path
        .ancestors()
        .find_map(|above| Some((above, above.canonicalize().ok()?)));
    above.and_then(|(above, real)| Some(real.join(path.strip_prefix(above).ok()?)))
}
