//! One run's steps on this machine: the executor that the scheduler drives.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use sloth_policy::{Effective, Policy};
use sloth_workflow::{
    Bundle, Cancel, Executor, Finished, Outcome, Step, Task, Value, Workflow, cbor,
};
use tokio::sync::Semaphore;

use crate::bindings;
use crate::bindings::sloth::host::files::Host as _;
use crate::bindings::sloth::host::types;
use crate::failure::{Failure, out_of_memory};
use crate::host::Error;
use crate::place::name::absolute;
use crate::place::planned::Planned;
use crate::report::{Reporter, Sink};
use crate::sandbox::{Loaded, Sandbox, Sight};
use crate::scratch::Scratch;
use crate::watch::Watch;

/// Time a step gets on top of its own for its processes to be ended.
const SLACK: Duration = Duration::from_secs(5);

/// What a run is made of.
pub struct Setup {
    pub bundle: Arc<Bundle>,
    pub workflow: Workflow,
    pub policy: Policy,
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
    sandbox: Arc<Sandbox>,
    setup: Setup,
    /// Grants by task; tasks without a declaration of their own share the workflow's.
    sights: Vec<(usize, Sight)>,
    idle: Mutex<BTreeMap<usize, Vec<Loaded>>>,
    room: Semaphore,
}

impl Session {
    pub fn new(sandbox: Arc<Sandbox>, setup: Setup) -> Self {
        let digest = setup.bundle.digest();
        let planned = setup.check.then(|| Arc::new(Planned::default()));
        let protected: Vec<String> = sandbox
            .node
            .protected
            .iter()
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
        Self {
            sandbox,
            setup,
            sights,
            idle: Mutex::default(),
            room,
        }
    }

    async fn attempt(&self, step: &Step, cancel: Cancel) -> Result<Finished, Failure> {
        let task = &self.setup.workflow.tasks[step.task];
        let defect = |error: std::io::Error| {
            Failure::new(
                Outcome::Failed,
                format!("failed to name a scratch folder: {error}"),
            )
        };
        let quota = self.sandbox.limits().scratch;
        let scratch = Arc::new(Scratch::beneath(self.sandbox.scratch(), quota).map_err(defect)?);
        let workdir = self.workdir(task, scratch.path())?;
        let mut loaded = self.take(step.task, cancel.clone()).await?;
        let limits = self.sandbox.limits();
        let time = task.timeout.min(limits.step_time);
        let watch = Watch::new(time, cancel);
        let context = loaded.store.data_mut();
        let report = Reporter::for_step(
            Arc::clone(&self.setup.sink),
            task.name.clone(),
            self.setup.check,
            limits.output,
        );
        context.tree.begin_step(workdir.clone(), scratch);
        context.begin_step(report, watch);
        if task.workdir.is_some() {
            ensure_workdir(&mut loaded, &workdir)?;
        }
        let argument = bindings::Step {
            workflow: self.setup.workflow.name.raw().to_owned(),
            task: Some(task.name.raw().to_owned()),
            part: bindings::Part::Command,
            stack_name: String::new(),
            stack: cbor::encode(&Value::empty()),
            about: cbor::encode(&Value::empty()),
            deps: cbor::encode(&step.deps),
            workdir,
            attempt: step.attempt,
            check: self.setup.check,
        };
        let grace = self.sandbox.node.grace + SLACK;
        let called = loaded.guest.call_run_step(&mut loaded.store, &argument);
        let called = tokio::time::timeout(time + grace, called).await;
        // Whatever the step left running ends before it does.
        loaded.store.data_mut().programs.end(grace).await;
        let answer = match called {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let failure = Failure::trapped(&error, &loaded.store.data().meter);
                return Err(timed(failure, time));
            }
            Err(_) => {
                return Err(timed(
                    Failure::new(Outcome::TimedOut, "the task's time ran out"),
                    time,
                ));
            }
        };
        let finished = conclude(answer, &loaded);
        loaded.store.data_mut().tree.end_step();
        self.give_back(step.task, loaded);
        finished
    }

    fn workdir(&self, task: &Task, scratch: &str) -> Result<String, Failure> {
        let asked = match (&task.workdir, &self.setup.workdir) {
            (Some(workdir), _) => workdir.raw(),
            (None, Some(workdir)) => workdir,
            (None, None) => return Ok(scratch.to_owned()),
        };
        absolute(asked, self.setup.workdir.as_deref().unwrap_or(scratch)).map_err(unusable)
    }

    async fn take(&self, task: usize, cancel: Cancel) -> Result<Loaded, Failure> {
        let (key, sight) = &self.sights[task];
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.get_mut(key).and_then(Vec::pop)
        };
        if let Some(loaded) = idle {
            return Ok(loaded);
        }
        let loaded = self.sandbox.load(&self.setup.bundle, sight, cancel).await?;
        let name = &self.setup.workflow.tasks[task].name;
        let here = loaded
            .plan
            .workflows
            .iter()
            .find(|workflow| workflow.name == self.setup.workflow.name)
            .is_some_and(|workflow| workflow.tasks.iter().any(|task| task.name == *name));
        if here {
            return Ok(loaded);
        }
        Err(Failure::new(
            Outcome::Failed,
            format!(
                "the file is not deterministic: task `{}` was declared when it was planned and is \
                 not now; declare the same tasks at every load",
                name.raw()
            ),
        ))
    }

    /// Keeps an instance for the next step with the same grants. Its gate stays open with nothing
    /// running in it, and the next step opens it anew.
    fn give_back(&self, task: usize, loaded: Loaded) {
        if loaded.store.data().meter.refused() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // As many wait as may run: the pool has room for both. Whoever has waited for other grants
        // goes first.
        let most = self.sandbox.limits().concurrent_steps as usize;
        let key = self.sights[task].0;
        while idle.values().map(Vec::len).sum::<usize>() >= most {
            let other = idle
                .iter()
                .find(|(other, kept)| **other != key && !kept.is_empty());
            let from = other.map_or(key, |(other, _)| *other);
            idle.get_mut(&from).and_then(Vec::pop);
        }
        idle.entry(key).or_default().push(loaded);
    }
}

impl Executor for Session {
    async fn execute(&self, step: Step, cancel: Cancel) -> Finished {
        let waiting = std::pin::pin!(self.room.acquire());
        let given = std::pin::pin!(cancel.given());
        let Either::Left((Ok(_room), _)) = select(waiting, given).await else {
            return Finished::with(Outcome::Cancelled, "the run was cancelled");
        };
        // A defect of the host must cost one step, never the process.
        let attempt = AssertUnwindSafe(self.attempt(&step, cancel.clone())).catch_unwind();
        match attempt.await {
            Ok(Ok(finished)) => finished,
            Ok(Err(failure)) => failure.into(),
            Err(_) => Finished::with(
                Outcome::Failed,
                "a defect of sloth-runner ended the task; please report what the log says",
            ),
        }
    }
}

/// What the guest answered, with what the host knows of it.
fn conclude(
    answer: Result<bindings::Completion, bindings::Failure>,
    loaded: &Loaded,
) -> Result<Finished, Failure> {
    let context = loaded.store.data();
    let decode = |bytes: &[u8]| match cbor::decode(bytes, cbor::Bounds::DATA) {
        Ok(value @ Value::Map(_)) => Ok(value),
        Ok(other) => Err(Failure::new(
            Outcome::Failed,
            format!("outputs are {}, not a table of names", other.kind()),
        )),
        Err(error) => Err(Failure::new(Outcome::Failed, format!("outputs: {error}"))),
    };
    match answer {
        Ok(completion) => Ok(Finished {
            outcome: if context.gate.report.changed() {
                Outcome::Changed
            } else {
                Outcome::Ok
            },
            message: completion.message.unwrap_or_default().into(),
            location: None,
            traceback: None,
            outputs: decode(&completion.outputs)?,
        }),
        Err(failure) => {
            let outputs = match &failure.outputs {
                Some(bytes) => decode(bytes)?,
                None => Value::empty(),
            };
            let report = &context.gate.report;
            let mut failure = Failure::reported(failure, |c, s| report.was_denied(c, s), outputs);
            if context.meter.refused() && failure.message.raw().contains("not enough memory") {
                failure.message = out_of_memory(&context.meter).into();
            }
            Err(failure)
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

/// Makes the working folder if it is missing, which needs the grants that any `mkdir` needs.
fn ensure_workdir(loaded: &mut Loaded, workdir: &str) -> Result<(), Failure> {
    let mut files = loaded.store.data_mut().files();
    // Whether it is there is told only where something is granted.
    if files.may_look(workdir) && files.stands(workdir) {
        return Ok(());
    }
    files
        .mkdir(workdir.to_owned(), true, None)
        .map(drop)
        .map_err(unusable)
}

fn unusable(error: Error) -> Failure {
    match error {
        Error::Guest(types::Error::Denied(denial)) => Failure::new(Outcome::Denied, denial.message),
        Error::Guest(
            types::Error::NotWhileLoading(message)
            | types::Error::Invalid(message)
            | types::Error::NotFound(message)
            | types::Error::Exists(message)
            | types::Error::WrongKind(message)
            | types::Error::Failed(message),
        ) => Failure::new(Outcome::Failed, format!("the working folder: {message}")),
        Error::Trap(error) => Failure::new(Outcome::Failed, format!("{error:#}")),
    }
}

fn timed(mut failure: Failure, time: Duration) -> Failure {
    if failure.outcome == Outcome::TimedOut {
        failure.message = format!("the task's time ran out after {time:?}").into();
    }
    failure
}
