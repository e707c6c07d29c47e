//! Steps on a target: the executor that a run's scheduler drives. Each call of it is a row of the store, given out to
//! the target's agent and ended by it; a call that is known already answers from the store.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sloth_workflow::{
    Artifact, Cancel, Executor, Finished, Outcome, Step, Subject, Workflow, cbor,
};
use tokio::time::Instant;

use super::course::line_of;
use super::emitter::Emitter;
use super::registry::Line;
use super::waiting::{News, Wait};
use crate::master::Core;
use crate::store::master::{CallEnd, Error};
use crate::wire::generated::downward::Kind;
use crate::wire::generated::{Assign, CallName, CancelCall, CloseSeat, Downward};
use crate::wire::{self, finished};

/// How long a cancelled call may take to say that it has ended: the agent gives programs ten seconds.
const LAST_WORDS: Duration = Duration::from_secs(20);

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
    number: u64,
    /// The agent's name in the registry.
    line: String,
    artifacts: Vec<Artifact>,
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

    async fn call(&self, seat: &Seat, step: &Step, cancel: &Cancel) -> Result<Finished, String> {
        let store = &self.core.store;
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
        let call = store
            .open_call(&self.run, &key, &seat.line)
            .await
            .map_err(said)?;
        if let Some(end) = call.end {
            return read(&end);
        }
        // What the run said before comes before what the call will say.
        self.emitter.flush().await?;
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
        };
        // Between the look into the store and the wait it may have ended.
        match errand.ended().await? {
            Some(finished) => Ok(finished),
            None => errand.finish(cancel).await,
        }
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
            // The store does not answer. Nothing is said to have succeeded that is not kept.
            Err(problem) => {
                tracing::error!(run = self.run, problem, "a call could not be kept");
                Finished::with(Outcome::Failed, format!("the master: {problem}"))
            }
        }
    }
}

/// One call that is out.
struct Errand<'a> {
    dispatch: &'a Dispatch,
    seat: &'a Seat,
    step: &'a Step,
    name: (String, u64),
    wait: Wait,
    /// The last one given; 0 if it was never given out.
    fence: u64,
    /// The agent's journal then; empty if it was never given out.
    journal: String,
}

/// What happens to a call that is out.
enum Turn {
    News(News),
    /// Lines have come or gone.
    Lines,
    Late,
    Cancelled,
}

impl Errand<'_> {
    async fn finish(mut self, cancel: &Cancel) -> Result<Finished, String> {
        let core = Arc::clone(&self.dispatch.core);
        let mut changes = core.registry.changes();
        // The session that has the call; none before it was given out in this life of the master.
        let mut holder: Option<u64> = None;
        let mut away = Instant::now();
        let mut told: Option<Instant> = None;
        loop {
            changes.borrow_and_update();
            let mut line = core.registry.line(&self.seat.line);
            // What it is at, it may finish.
            if self.fence == 0 && core.registry.is_drained(&self.seat.line) {
                line = None;
            }
            if line.is_some() {
                away = Instant::now();
            }
            match &line {
                Some(line) if holder != Some(line.session) => {
                    if self.fence == 0 || !line.has(&self.name.0, self.name.1) {
                        if told.is_some() {
                            return self.end(Outcome::Cancelled, "the run was cancelled").await;
                        }
                        // It may have begun it, and there is nobody left who knows.
                        if self.fence > 0 && self.journal != line.journal {
                            let message = format!(
                                "{} has lost its journal; what became of the step is not known",
                                self.seat.line
                            );
                            return self.end(Outcome::Failed, &message).await;
                        }
                        if self.give_out(line).await? {
                            holder = Some(line.session);
                        }
                    } else {
                        holder = Some(line.session);
                        if told.is_some() {
                            self.cancel(line);
                        }
                    }
                }
                _ => {}
            }
            let patience = if self.fence == 0 {
                self.dispatch.queue_timeout
            } else {
                core.settings.unreachable_after
            };
            let until = match (told, &line) {
                (Some(told), _) => Some(told + LAST_WORDS),
                (None, None) => Some(away + patience),
                (None, Some(_)) => None,
            };
            match self.turn(cancel, told.is_some(), &mut changes, until).await {
                Turn::News(News::Ended) => {
                    if let Some(finished) = self.ended().await? {
                        return Ok(finished);
                    }
                }
                Turn::News(News::Declined { reason, denied }) => {
                    let outcome = if denied {
                        Outcome::Denied
                    } else {
                        Outcome::Failed
                    };
                    return self.end(outcome, &reason).await;
                }
                Turn::Lines => {}
                Turn::Cancelled => {
                    told = Some(Instant::now());
                    match core.registry.line(&self.seat.line) {
                        _ if self.fence == 0 => {
                            return self.end(Outcome::Cancelled, "the run was cancelled").await;
                        }
                        Some(line) => self.cancel(&line),
                        None => {}
                    }
                }
                Turn::Late if told.is_some() => {
                    let message = format!(
                        "the run was cancelled; {} has not said how the step ended",
                        self.seat.line
                    );
                    return self.end(Outcome::Cancelled, &message).await;
                }
                Turn::Late => {
                    let message = if self.fence == 0 {
                        format!(
                            "{} was not there, or was drained, and did not begin within {}",
                            self.seat.line,
                            shown(patience)
                        )
                    } else {
                        format!(
                            "{} has not been heard for {}; what became of the step is not known",
                            self.seat.line,
                            shown(patience)
                        )
                    };
                    return self.end(Outcome::Unreachable, &message).await;
                }
            }
        }
    }

    async fn turn(
        &mut self,
        cancel: &Cancel,
        told: bool,
        changes: &mut tokio::sync::watch::Receiver<u64>,
        until: Option<Instant>,
    ) -> Turn {
        let late = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let given = async {
            if told {
                std::future::pending::<()>().await;
            }
            cancel.given().await;
        };
        tokio::select! {
            biased;
            news = self.wait.news() => Turn::News(news),
            () = given => Turn::Cancelled,
            _ = changes.changed() => Turn::Lines,
            () = late => Turn::Late,
        }
    }

    /// Gives the call out with a higher fence than ever before. False if the agent cannot be given it now.
    async fn give_out(&mut self, line: &Line) -> Result<bool, String> {
        let store = &self.dispatch.core.store;
        let given = store.give_out(&self.name.0, self.name.1, &line.journal);
        self.fence = match given.await {
            Ok(fence) => fence,
            // It was delivered meanwhile: the news of it is on its way.
            Err(Error::CallEnded { .. }) => return Ok(true),
            Err(error) => return Err(said(error)),
        };
        self.journal.clone_from(&line.journal);
        let step = self.step;
        let task = match step.subject {
            Subject::Task(task) => Some(&self.dispatch.workflow.tasks[task]),
            Subject::Workflow => None,
        };
        Ok(line
            .give(frame(Kind::Assign(Assign {
                call: Some(self.call_name()),
                bundle: wire::value::named(&self.dispatch.content),
                stack_name: self.dispatch.stack.clone(),
                workflow: self.dispatch.workflow.name.raw().to_owned(),
                // Copies on several targets are one task of the file.
                task: task.map(|task| u32::try_from(task.number).unwrap_or(u32::MAX)),
                task_name: task
                    .map(|task| task.name.raw().to_owned())
                    .unwrap_or_default(),
                part: step.part.key().to_owned(),
                attempt: step.attempt,
                seat: self.seat.number,
                artifacts: self.seat.artifacts.iter().map(Into::into).collect(),
                deps: cbor::encode(&step.deps),
                stack: cbor::encode(&step.stack),
                about: cbor::encode(&step.about),
                check: self.dispatch.check,
                diff: self.dispatch.diff,
                secrets: HashMap::new(),
            })))
            .await)
    }

    fn cancel(&self, line: &Line) {
        line.send(frame(Kind::Cancel(CancelCall {
            call: Some(self.call_name()),
        })));
    }

    fn call_name(&self) -> CallName {
        CallName {
            run: self.name.0.clone(),
            call: self.name.1,
            fence: self.fence,
        }
    }

    /// Ends the call from here. If its agent has ended it meanwhile, that is what counts.
    async fn end(&self, outcome: Outcome, message: &str) -> Result<Finished, String> {
        let finished = Finished::with(outcome, message);
        let store = &self.dispatch.core.store;
        let end = CallEnd {
            finished: finished::encoded(&finished),
            interrupted: false,
        };
        if store
            .end_call(&self.name.0, self.name.1, end)
            .await
            .map_err(said)?
        {
            return Ok(finished);
        }
        self.ended()
            .await?
            .ok_or_else(|| "the call has no end".to_owned())
    }

    /// How it ended, if it has.
    async fn ended(&self) -> Result<Option<Finished>, String> {
        let store = &self.dispatch.core.store;
        let call = store.call(&self.name.0, self.name.1).await.map_err(said)?;
        call.end.as_ref().map(read).transpose()
    }
}

fn read(end: &CallEnd) -> Result<Finished, String> {
    finished::decoded(&end.finished).map_err(|error| error.to_string())
}

fn said(error: Error) -> String {
    error.to_string()
}

fn frame(kind: Kind) -> Downward {
    Downward { kind: Some(kind) }
}

fn shown(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}
