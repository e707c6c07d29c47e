//! One call that is out at its agent: given out, given out again, cancelled, and ended, whatever becomes of the link.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sloth_workflow::{Cancel, Finished, Outcome, Step, Subject, cbor};
use tokio::time::Instant;

use super::dispatch::{Dispatch, Seat, frame, read, said};
use super::registry::Line;
use super::waiting::{News, Wait};
use crate::store::master::{CallEnd, Error};
use crate::wire::generated::downward::Kind;
use crate::wire::generated::{Assign, CallName, CancelCall};
use crate::wire::{self, finished};

/// How long a cancelled call may take to say that it has ended: the agent gives programs ten seconds.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// One call that is out.
pub(super) struct Errand<'a> {
    pub(super) dispatch: &'a Dispatch,
    pub(super) seat: &'a Seat,
    pub(super) step: &'a Step,
    pub(super) name: (String, u64),
    pub(super) wait: Wait,
    /// The last one given; 0 if it was never given out.
    pub(super) fence: u64,
    /// The agent's journal then; empty if it was never given out.
    pub(super) journal: String,
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
    pub(super) async fn finish(mut self, cancel: &Cancel) -> Result<Finished, String> {
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
                    let message = self.late(patience);
                    return self.end(Outcome::Unreachable, &message).await;
                }
            }
        }
    }

    /// Why a call is given up whose agent was away for so long.
    fn late(&self, patience: Duration) -> String {
        let (agent, patience) = (&self.seat.line, patience.as_secs());
        if self.fence == 0 {
            format!("{agent} was not there, or was drained, and did not begin within {patience} s")
        } else {
            format!(
                "{agent} has not been heard for {patience} s; what became of the step is not known"
            )
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
        let secrets = self.secrets(line).await?;
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
                secrets,
            })))
            .await)
    }

    /// What the step is handed: of the secrets for its agent, those that it may have a use for.
    async fn secrets(&self, line: &Line) -> Result<HashMap<String, Vec<u8>>, String> {
        let Some(about) = &line.about else {
            return Ok(HashMap::new());
        };
        let workflow = &self.dispatch.workflow;
        let own = match self.step.subject {
            Subject::Task(task) => workflow.tasks[task].capabilities.as_ref(),
            Subject::Workflow => None,
        };
        let declared = [workflow.capabilities.as_ref(), own];
        let vault = &self.dispatch.core.vault;
        vault.handed(about, declared.as_slice()).await
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
    pub(super) async fn ended(&self) -> Result<Option<Finished>, String> {
        let store = &self.dispatch.core.store;
        let call = store.call(&self.name.0, self.name.1).await.map_err(said)?;
        call.end.as_ref().map(read).transpose()
    }
}
