//! Steps on a target: the executor that a run's scheduler drives. Each call of it is a row of the store, given out to
//! the target's agent and ended by it; a call that is known already answers from the store.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sloth_workflow::{Artifact, Cancel, Executor, Finished, Outcome, Step, Subject, Workflow};

use super::course::line_of;
use super::emitter::Emitter;
use super::errand::Errand;
use super::registry::Line;
use super::replay::{Known, Replay};
use super::targets::Targets;
use tokio::sync::OwnedSemaphorePermit;

use crate::master::Core;
use crate::store::master::{CallEnd, Error, Opening};
use crate::wire::finished;
use crate::wire::generated::downward::Kind;
use crate::wire::generated::{CloseSeat, Downward};

/// The executor of one pipeline.
pub(crate) struct Dispatch {
    pub(crate) core: Arc<Core>,
    pub(crate) run: String,
    /// Whose pipeline it is: an agent's name, or `local`.
    pub(crate) pipeline: String,
    /// Of the run's pipelines, from 0.
    pub(crate) index: u32,
    /// With its tasks on their targets.
    pub(crate) workflow: Workflow,
    /// Digits of the encoded bundle's digest.
    pub(crate) content: String,
    pub(crate) stack: String,
    pub(crate) check: bool,
    pub(crate) diff: bool,
    /// How long a call waits for an agent that is not there before it was given out.
    pub(crate) queue_timeout: Duration,
    pub(crate) emitter: Emitter,
    pub(crate) replay: Arc<Replay>,
    /// The run's.
    pub(crate) targets: Arc<Targets>,
    /// How many seats each subject has had.
    pub(crate) seats: Mutex<HashMap<Subject, u64>>,
}

/// What makes a call of a run this one and no other, the same whenever the run is taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallKey {
    /// By its place among the run's pipelines.
    pub(crate) pipeline: u32,
    /// By its place among the pipeline's; none is the workflow itself.
    pub(crate) task: Option<usize>,
    pub(crate) part: String,
    /// From 1.
    pub(crate) attempt: u32,
}

impl fmt::Display for CallKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/", self.pipeline)?;
        match self.task {
            Some(task) => write!(formatter, "{task}")?,
            None => formatter.write_str("workflow")?,
        }
        write!(formatter, "/{}/{}", self.part, self.attempt)
    }
}

impl CallKey {
    /// The key of a call that is kept; none for what no call of ours has.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let key = Self {
            pipeline: parts.next()?.parse().ok()?,
            task: match parts.next()? {
                "workflow" => None,
                task => Some(task.parse().ok()?),
            },
            part: parts.next()?.to_owned(),
            attempt: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(key)
    }
}

/// What one attempt holds at its agent. Dropping it gives that back.
pub(crate) struct Seat {
    core: Arc<Core>,
    run: String,
    pub(super) number: u64,
    /// The agent's name in the registry.
    pub(super) line: String,
    pub(super) artifacts: Vec<Artifact>,
    taken: AtomicU64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        // One that was never used is not known there.
        if self.taken.load(Ordering::Relaxed) > 0
            && let Some(line) = self.core.registry.line(&self.line)
        {
            line.send(frame(Kind::CloseSeat(CloseSeat {
                run: self.run.clone(),
                seat: self.number,
            })));
        }
    }
}

impl Dispatch {
    fn target(&self, subject: Subject) -> &str {
        let own = match subject {
            Subject::Task(task) => self.workflow.tasks[task].target.as_deref(),
            Subject::Workflow => None,
        };
        own.unwrap_or(&self.pipeline)
    }

    /// The same number for the same attempt, whenever the run is taken up again.
    fn seat_number(&self, subject: Subject) -> u64 {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let seat = seats.entry(subject).or_default();
        *seat += 1;
        let subject = match subject {
            Subject::Workflow => 0,
            Subject::Task(task) => task as u64 + 1,
        };
        u64::from(self.index) << 40 | subject << 16 | *seat & 0xffff
    }

    /// The line to the seat's agent with a place among the calls that are out there, if both are to be had now.
    fn ready(&self, seat: &Seat) -> Option<(Line, OwnedSemaphorePermit)> {
        let registry = &self.core.registry;
        let line = registry.line(&seat.line)?;
        let place = Arc::clone(&line.room).try_acquire_owned().ok()?;
        (!registry.is_drained(&seat.line)).then_some((line, place))
    }

    async fn call(&self, seat: &Seat, step: &Step, cancel: &Cancel) -> Result<Finished, String> {
        let key = CallKey {
            pipeline: self.index,
            task: match step.subject {
                Subject::Workflow => None,
                Subject::Task(task) => Some(task),
            },
            part: step.part.key().to_owned(),
            attempt: step.attempt,
        };
        let key = key.to_string();
        let cancelled = || Finished::with(Outcome::Cancelled, "the run was cancelled");
        if !self.replay.admits(&key) {
            // Not before: the scheduler would take it for a failure of its own, and skip what it had begun.
            self.replay.told().await;
            return Ok(cancelled());
        }
        let _busy = match self.replay.knows(&key) {
            Some(Known::Ended) => None,
            Some(Known::Out) => self.targets.count(&seat.line),
            None => tokio::select! {
                biased;
                busy = self.targets.wait(&seat.line) => Some(busy),
                () = cancel.given() => return Ok(cancelled()),
            },
        };
        let ready = self.ready(seat);
        // What the run said before comes before what the call will say. Both go into one commit.
        let opening = Opening {
            key: key.clone(),
            agent: seat.line.clone(),
            journal: ready.as_ref().map(|(line, _)| line.journal.clone()),
        };
        let looking = self.replay.look();
        let (call, given) = self.emitter.open(opening).await?;
        drop(looking);
        self.replay.reach(&key).await;
        if let Some(end) = call.end {
            return read(&end);
        }
        seat.taken.fetch_add(1, Ordering::Relaxed);
        let name = (self.run.clone(), call.number);
        let errand = Errand {
            dispatch: self,
            seat,
            step,
            wait: self.core.waiting.wait(name.clone(), seat.line.clone()),
            name,
            fence: call.fence,
            journal: call.journal,
            given: ready.filter(|_| given),
        };
        // Between the look into the store and the wait it may have ended, unless it is only given out now.
        if errand.given.is_none()
            && let Some(finished) = errand.ended().await?
        {
            return Ok(finished);
        }
        errand.finish(cancel).await
    }
}

impl Executor for Dispatch {
    type Seat = Seat;

    fn seat(&self, subject: Subject, artifacts: Vec<Artifact>) -> Seat {
        Seat {
            core: Arc::clone(&self.core),
            run: self.run.clone(),
            number: self.seat_number(subject),
            line: line_of(self.target(subject), &self.run),
            artifacts,
            taken: AtomicU64::new(0),
        }
    }

    async fn execute(&self, seat: &mut Seat, step: Step, cancel: Cancel) -> Finished {
        match self.call(seat, &step, &cancel).await {
            Ok(finished) => finished,
            // A defect, or what is kept is damaged. Nothing is said to have succeeded that is not kept.
            Err(problem) => {
                tracing::error!(run = self.run, problem, "a call could not be kept");
                Finished::with(Outcome::Failed, format!("the master: {problem}"))
            }
        }
    }
}

pub(super) fn read(end: &CallEnd) -> Result<Finished, String> {
    finished::decoded(&end.finished).map_err(|error| error.to_string())
}

pub(super) fn said(error: Error) -> String {
    error.to_string()
}

pub(crate) fn frame(kind: Kind) -> Downward {
    Downward { kind: Some(kind) }
}
