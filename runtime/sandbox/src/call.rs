//! One call of one part of a task, in a seat: from its working folder to what came of it.

use std::sync::Arc;
use std::time::Duration;

use sloth_workflow::plan::{DEFAULT_TIMEOUT, Part};
use sloth_workflow::{
    Artifact, Cancel, Finished, Outcome, Step, Subject, Task, Untrusted, Value, cbor,
};

use crate::bindings::sloth::host::files::Host as _;
use crate::bindings::sloth::host::types;
use crate::bindings::{self, Part as GuestPart};
use crate::failure::{Failure, Left, cut, out_of_memory};
use crate::host::Error;
use crate::place::name::absolute;
use crate::ports::audit::Origin;
use crate::report::Reporter;
use crate::sandbox::Loaded;
use crate::scratch::Scratch;
use crate::seat::Seat;
use crate::session::Session;
use crate::trail::Trail;
use crate::watch::Watch;

/// What is put on record where a step leaves outputs in its stack.
const STACK: &str = "stack.keep";
/// Time a step gets on top of its own for its processes to be ended.
const SLACK: Duration = Duration::from_secs(5);

impl Session {
    /// Makes the call. An instance that trapped, ran out of time or was cancelled is thrown away.
    pub(crate) async fn call(
        &self,
        seat: &mut Seat,
        step: &Step,
        cancel: Cancel,
    ) -> Result<Finished, Failure> {
        let task = self.task(step.subject);
        let limits = self.sandbox.limits();
        let first = seat.scratch.is_none();
        let scratch = self.scratch(seat)?;
        let workdir = self.workdir(task, scratch.path())?;
        let mut loaded = match seat.loaded.take() {
            Some(loaded) => loaded,
            None => self.take(seat, step, cancel.clone()).await?,
        };
        let time = task.map_or(DEFAULT_TIMEOUT, |task| task.timeout);
        let time = time.min(limits.step_time);
        let watch = Watch::new(time, cancel);
        let context = loaded.store.data_mut();
        let name = task.map(|task| task.name.clone()).unwrap_or_default();
        let sink = Arc::clone(&self.setup.sink);
        let opened = Arc::clone(&self.opened);
        let report =
            Reporter::for_step(sink, name.clone(), self.setup.check, limits.output, opened)
                .witnessed(self.trail(&name, step), self.setup.witness.learner.clone());
        context.tree.begin_step(workdir.clone(), scratch);
        context.begin_step(report, watch);
        let own = task.is_some_and(|task| task.workdir.is_some());
        if own || self.setup.workdir.is_some() {
            ensure_workdir(&mut loaded, &workdir, own)
                .map_err(|error| failed("the working folder", error))?;
        }
        if first && !seat.artifacts.is_empty() {
            let artifacts = std::mem::take(&mut seat.artifacts);
            let mut files = loaded.store.data_mut().files();
            files
                .place(&workdir, &artifacts, &self.artifacts)
                .await
                .map_err(|error| failed("consumes", error))?;
        }
        let argument = self.argument(step, task, workdir.clone());
        let grace = self.sandbox.node.grace + SLACK;
        let called = loaded.guest.call_run_step(&mut loaded.store, &argument);
        let called = tokio::time::timeout(time + grace, called).await;
        // Whatever the step left running ends before it does.
        loaded.store.data_mut().end_plugins(grace).await;
        let left = loaded.store.data_mut().end_underway(grace).await;
        let report = &mut loaded.store.data_mut().gate.report;
        for (capability, summary, intent) in left {
            report.resume(intent);
            // The step is over: what it may still say is said below.
            let _ = report.change(capability.name(), &summary, None);
        }
        report.close();
        let answer = match called {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let failure = Failure::trapped(&error, &loaded.store.data().meter);
                return Err(timed(failure, time));
            }
            Err(_) => {
                let failure = Failure::new(Outcome::TimedOut, "the task's time ran out");
                return Err(timed(failure, time));
            }
        };
        let mut finished = conclude(answer, &loaded);
        if let Ok(done) = &mut finished
            && step.part == Part::Command
        {
            match self.collect(&mut loaded, task, &workdir).await {
                Ok(artifacts) => done.artifacts = artifacts,
                Err(failure) => finished = Err(failure),
            }
        }
        seat.loaded = Some(loaded);
        finished
    }

    fn task(&self, subject: Subject) -> Option<&Task> {
        match subject {
            Subject::Task(index) => Some(&self.setup.workflow.tasks[index]),
            Subject::Workflow => None,
        }
    }

    fn trail(&self, task: &Untrusted, step: &Step) -> Option<Trail> {
        let origin = Origin {
            run: self.setup.witness.run.clone(),
            stack: self.setup.stack.clone(),
            workflow: self.setup.workflow.name.raw().to_owned(),
            task: task.raw().to_owned(),
            attempt: step.attempt,
            plugin: String::new(),
        };
        let audit = Arc::clone(self.setup.witness.audit.as_ref()?);
        let opened = Arc::clone(&self.opened);
        Some(Trail::new(audit, origin, self.setup.check, opened))
    }

    fn scratch(&self, seat: &mut Seat) -> Result<Arc<Scratch>, Failure> {
        if let Some(scratch) = &seat.scratch {
            return Ok(Arc::clone(scratch));
        }
        let quota = self.sandbox.limits().scratch;
        let scratch = Scratch::beneath(self.sandbox.scratch(), quota).map_err(|error| {
            let message = format!("failed to name a scratch folder: {error}");
            Failure::new(Outcome::Failed, message)
        })?;
        Ok(Arc::clone(seat.scratch.insert(Arc::new(scratch))))
    }

    fn workdir(&self, task: Option<&Task>, scratch: &str) -> Result<String, Failure> {
        let asked = match (
            task.and_then(|task| task.workdir.as_ref()),
            &self.setup.workdir,
        ) {
            (Some(workdir), _) => workdir.raw(),
            (None, Some(workdir)) => workdir,
            (None, None) => return Ok(scratch.to_owned()),
        };
        absolute(asked, self.setup.workdir.as_deref().unwrap_or(scratch))
            .map_err(|error| failed("the working folder", error))
    }

    /// An instance with the seat's grants: one that has waited, or for a further attempt a fresh one.
    async fn take(&self, seat: &mut Seat, step: &Step, cancel: Cancel) -> Result<Loaded, Failure> {
        let waited = (step.attempt == 1)
            .then(|| seat.idle.take(seat.grants))
            .flatten();
        if let Some(loaded) = waited {
            return Ok(loaded);
        }
        let sight = self.sight(seat.subject);
        self.sandbox.load(&self.setup.bundle, sight, cancel).await
    }

    fn argument(&self, step: &Step, task: Option<&Task>, workdir: String) -> bindings::Step {
        bindings::Step {
            workflow: self.setup.workflow.name.raw().to_owned(),
            task: task.map(|task| task.name.raw().to_owned()),
            part: guest_part(step.part),
            deps: cbor::encode(&step.deps),
            stack_name: self.setup.stack.clone(),
            stack: cbor::encode(&self.stack(step)),
            about: cbor::encode(&step.about),
            workdir,
            attempt: step.attempt,
            check: self.setup.check,
        }
    }

    /// What the step sees of its stack: what this run set, over what earlier ones left.
    fn stack(&self, step: &Step) -> Value {
        let mut held = self.earlier.clone();
        held.extend(step.stack.as_map().cloned().unwrap_or_default());
        Value::Map(held)
    }

    /// Keeps for later runs what a step set in its stack, before anybody is told that it ended.
    /// It is the node's own from then on, and so it is put on record as every change of the node is.
    pub(crate) async fn keep_stack(&self, step: &Step, finished: Finished) -> Finished {
        let Some(set) = finished.stack.as_map().filter(|set| !set.is_empty()) else {
            return finished;
        };
        if self.setup.check {
            return finished;
        }
        let (set, stack) = (set.clone(), self.setup.stack.clone());
        let name = self.task(step.subject).map(|task| task.name.clone());
        let mut trail = self.trail(&name.unwrap_or_default(), step);
        let summary = format!("keep {} outputs of the stack {stack}", set.len());
        if let Some(trail) = &mut trail
            && let Err(error) = trail.intend(STACK, &summary)
        {
            return Finished::with(Outcome::Failed, error.words());
        }
        let stacks = Arc::clone(&self.sandbox.node.stacks);
        let kept = tokio::task::spawn_blocking(move || stacks.keep(&stack, &set)).await;
        let problem = match kept {
            Ok(Ok(())) => {
                if let Some(trail) = &mut trail {
                    trail.done(STACK, &summary);
                }
                return finished;
            }
            Ok(Err(problem)) => problem.to_string(),
            Err(defect) => defect.to_string(),
        };
        if let Some(trail) = &mut trail {
            trail.failed(&problem);
        }
        let message = format!("failed to keep what the task set in its stack: {problem}");
        if !finished.outcome.succeeded() {
            tracing::error!("{message}");
            return finished;
        }
        Finished {
            stack: finished.stack,
            ..Finished::with(Outcome::Failed, message)
        }
    }

    async fn collect(
        &self,
        loaded: &mut Loaded,
        task: Option<&Task>,
        workdir: &str,
    ) -> Result<Vec<Artifact>, Failure> {
        match task {
            Some(task) if !task.artifacts.is_empty() => {
                let mut files = loaded.store.data_mut().files();
                files
                    .collect(workdir, &task.artifacts, &self.artifacts)
                    .await
                    .map_err(|error| failed("artifacts", error))
            }
            _ => Ok(Vec::new()),
        }
    }
}

fn guest_part(part: Part) -> GuestPart {
    match part {
        Part::RunIf => GuestPart::RunIf,
        Part::AbortIf => GuestPart::AbortIf,
        Part::PreHook => GuestPart::PreHook,
        Part::Command => GuestPart::Command,
        Part::PostHook => GuestPart::PostHook,
        Part::OnSuccess => GuestPart::OnSuccess,
        Part::OnFailure => GuestPart::OnFailure,
        Part::OnTimeout => GuestPart::OnTimeout,
        Part::OnStart => GuestPart::OnStart,
        Part::OnComplete => GuestPart::OnComplete,
    }
}

/// What the guest answered, with what the host knows of it.
fn conclude(
    answer: Result<bindings::Completion, bindings::Failure>,
    loaded: &Loaded,
) -> Result<Finished, Failure> {
    let context = loaded.store.data();
    match answer {
        Ok(completion) => {
            let report = &context.gate.report;
            let changed = report.changed();
            let outcome = if changed {
                Outcome::Changed
            } else {
                Outcome::Ok
            };
            Ok(Finished {
                outputs: decode("outputs", &completion.outputs)?,
                answer: completion.answer,
                stack: decode("stack", &completion.stack)?,
                ..Finished::with(outcome, cut(report.redacted(completion.message)))
            })
        }
        Err(failure) => {
            let outputs = match &failure.outputs {
                Some(bytes) => decode("outputs", bytes)?,
                None => Value::empty(),
            };
            let report = &context.gate.report;
            let stack = decode("stack", &failure.stack)?;
            let left = Left { outputs, stack };
            // Before it is cut, which might leave half a secret.
            let failure = bindings::Failure {
                message: report.redacted(Some(failure.message)),
                location: failure.location.map(|text| report.redacted(Some(text))),
                traceback: failure.traceback.map(|text| report.redacted(Some(text))),
                ..failure
            };
            let mut failure = Failure::reported(failure, |c, s| report.was_denied(c, s), left);
            if context.meter.refused() && failure.message.raw().contains("not enough memory") {
                failure.message = out_of_memory(&context.meter).into();
            }
            Err(failure)
        }
    }
}

fn decode(what: &str, bytes: &[u8]) -> Result<Value, Failure> {
    let problem = match cbor::decode(bytes, cbor::Bounds::DATA) {
        Ok(value @ Value::Map(_)) => return Ok(value),
        Ok(other) => format!("{what} are {}, not a table of names", other.kind()),
        Err(error) => format!("{what}: {error}"),
    };
    Err(Failure::new(Outcome::Failed, problem))
}

/// Makes the working folder if it is missing, which needs the grants that any `mkdir` needs.
fn ensure_workdir(loaded: &mut Loaded, workdir: &str, own: bool) -> Result<(), Error> {
    let mut files = loaded.store.data_mut().files();
    // Whether it is there is told only where something is granted, but of what the operator named.
    if (!own || files.may_look(workdir)) && files.stands(workdir) {
        return Ok(());
    }
    files.mkdir(workdir.to_owned(), true, None).map(drop)
}

/// An error of what the host does for a task, in its words.
fn failed(what: &str, error: Error) -> Failure {
    match error {
        Error::Guest(types::Error::Denied(denial)) => Failure::new(Outcome::Denied, denial.message),
        Error::Guest(
            types::Error::NotWhileLoading(message)
            | types::Error::Invalid(message)
            | types::Error::NotFound(message)
            | types::Error::Exists(message)
            | types::Error::WrongKind(message)
            | types::Error::Failed(message),
        ) => Failure::new(Outcome::Failed, format!("{what}: {message}")),
        Error::Trap(error) => Failure::interrupted(&error)
            .unwrap_or_else(|| Failure::new(Outcome::Failed, format!("{error:#}"))),
    }
}

fn timed(mut failure: Failure, time: Duration) -> Failure {
    if failure.outcome == Outcome::TimedOut {
        failure.message = format!("the task's time ran out after {time:?}").into();
    }
    failure
}
