//! One call that is out at its agent: given out, given out again, cancelled, and ended, whatever becomes of the link.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sloth_workflow::{Cancel, Finished, Outcome, Step, Subject, cbor};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::burden;
use super::dispatch::{Dispatch, Seat, frame, read, said};
use super::insist::insist;
use super::registry::Line;
use super::waiting::{News, Wait};
use crate::store::master::{CallEnd, Error};
use crate::wire::generated::downward::Kind;
use crate::wire::generated::{Assign, CallName, CancelCall};
use crate::wire::{self, finished};

/// How long a cancelled call may take to say that it has ended: the agent gives programs ten seconds.
const LAST_WORDS: Duration = Duration::from_secs(20);
/// How long an agent that has not taken a call on is left alone.
const AGAIN: Duration = Duration::from_secs(1);

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
    /// Where it goes now, if that was settled when it was opened.
    pub(super) given: Option<(Line, OwnedSemaphorePermit)>,
}

/// What happens to a call.
enum Turn {
    News(News),
    /// Lines have come or gone, or a pause is over.
    Look,
    /// The agent has room for it.
    Room(OwnedSemaphorePermit),
    Late,
    Cancelled,
}

/// What came of giving a call out.
enum Handed {
    Taken,
    /// The agent cannot be given it now.
    NotNow,
    /// It was delivered meanwhile.
    Ended,
    /// It cannot be given out at all, whatever the agent does.
    Never(String),
}

/// How a call stands with its agent.
struct Standing {
    /// The session that has it; none before it was given out in this life of the master.
    holder: Option<u64>,
    /// The process at the other end of it.
    instance: String,
    /// Whether the agent may have begun it.
    out: bool,
    /// Its place among the calls that are out at the session of that number.
    place: Option<(u64, OwnedSemaphorePermit)>,
    /// Since when nobody is there who could get on with it.
    away: Instant,
    /// When the agent first did not take it on for now.
    declined: Option<Instant>,
    /// It is not asked again before.
    again: Option<Instant>,
    /// When it was told that the run is cancelled.
    told: Option<Instant>,
}

impl Standing {
    /// What came of handing the call to the agent.
    fn given(&mut self, line: &Line) {
        self.holder = Some(line.session);
        self.instance.clone_from(&line.instance);
        self.out = true;
    }
}

impl Errand<'_> {
    pub(super) async fn finish(mut self, cancel: &Cancel) -> Result<Finished, String> {
        let core = Arc::clone(&self.dispatch.core);
        let mut changes = core.registry.changes();
        if cancel.is_given() && (self.fence == 0 || self.given.is_some()) {
            return self.cancelled().await;
        }
        let mut standing = Standing {
            holder: None,
            instance: String::new(),
            out: self.fence > 0 && self.given.is_none(),
            place: None,
            away: Instant::now(),
            declined: None,
            again: None,
            told: None,
        };
        if let Some((line, place)) = self.given.take() {
            standing.place = Some((line.session, place));
            let handed = self.hand_over(&line).await;
            if let Some(finished) = self.note(&line, &mut standing, handed).await? {
                return Ok(finished);
            }
        }
        loop {
            changes.borrow_and_update();
            let line = self.line(&standing);
            if let Some(line) = &line
                && let Some(finished) = self.see_to(line, &mut standing).await?
            {
                return Ok(finished);
            }
            let turn = self.turn(cancel, &standing, line.as_ref(), &mut changes);
            let turn = turn.await;
            if line.is_some() {
                // Until now, however long that was.
                standing.away = Instant::now();
            }
            match turn {
                Turn::Look => {}
                Turn::Room(place) => {
                    standing.place = line.map(|line| (line.session, place));
                }
                Turn::News(News::Ended) => {
                    if let Some(finished) = self.ended().await? {
                        return Ok(finished);
                    }
                }
                // Of an earlier time that it was given out. Among such ones the news of its end may have found no place.
                Turn::News(News::Declined(declined))
                    if declined.call.as_ref().map(|call| call.fence) != Some(self.fence) =>
                {
                    if let Some(finished) = self.ended().await? {
                        return Ok(finished);
                    }
                }
                Turn::News(News::Declined(declined)) if declined.later => {
                    if standing.told.is_some() {
                        return self.cancelled().await;
                    }
                    standing.declined.get_or_insert_with(Instant::now);
                    standing.out = false;
                    standing.holder = None;
                    standing.place = None;
                    standing.again = Some(Instant::now() + AGAIN);
                }
                Turn::News(News::Declined(declined)) => {
                    let outcome = if declined.denied {
                        Outcome::Denied
                    } else {
                        Outcome::Failed
                    };
                    return self.end(outcome, &declined.reason).await;
                }
                Turn::Cancelled if !standing.out => return self.cancelled().await,
                Turn::Cancelled => {
                    standing.told = Some(Instant::now());
                    if let Some(line) = core.registry.line(&self.seat.line) {
                        self.cancel(&line);
                    }
                }
                Turn::Late if standing.told.is_some() => {
                    let message = format!(
                        "the run was cancelled; {} has not said how the step ended",
                        self.seat.line
                    );
                    return self.end(Outcome::Cancelled, &message).await;
                }
                Turn::Late => {
                    let message = self.late(standing.out);
                    return self.end(Outcome::Unreachable, &message).await;
                }
            }
        }
    }

    /// The way down to whoever could get on with the call now.
    fn line(&self, standing: &Standing) -> Option<Line> {
        let registry = &self.dispatch.core.registry;
        // What it is at, it may finish.
        if !standing.out && registry.is_drained(&self.seat.line) {
            return None;
        }
        registry.line(&self.seat.line)
    }

    /// Gives the call out where that is due. An end is what came of it at once.
    async fn see_to(
        &mut self,
        line: &Line,
        standing: &mut Standing,
    ) -> Result<Option<Finished>, String> {
        if standing.holder == Some(line.session) {
            return Ok(None);
        }
        if standing.out && line.has(&self.name.0, self.name.1) {
            standing.holder = Some(line.session);
            standing.instance.clone_from(&line.instance);
            if standing.told.is_some() {
                self.cancel(line);
            }
            return Ok(None);
        }
        if standing.told.is_some() {
            return self.cancelled().await.map(Some);
        }
        // It may have begun it, and there is nobody left who knows.
        if standing.out && self.journal != line.journal {
            let message = format!(
                "{} has lost its journal; what became of the step is not known",
                self.seat.line
            );
            return self.end(Outcome::Failed, &message).await.map(Some);
        }
        if standing.out && line.is_double_of(&standing.instance) {
            let message = format!(
                "another process has come as {} beside the one that was given the step; what became of it is not known",
                self.seat.line
            );
            return self.end(Outcome::Failed, &message).await.map(Some);
        }
        let placed = standing.place.as_ref();
        if placed.is_none_or(|(session, _)| *session != line.session)
            || standing.again.is_some_and(|again| Instant::now() < again)
        {
            return Ok(None);
        }
        let handed = self.give_out(line).await?;
        self.note(line, standing, handed).await
    }

    /// What came of handing the call to the agent. An end is what came of it at once.
    async fn note(
        &self,
        line: &Line,
        standing: &mut Standing,
        handed: Handed,
    ) -> Result<Option<Finished>, String> {
        match handed {
            Handed::Taken => standing.given(line),
            // It does not read: perhaps its session is over, and nobody has seen that yet.
            Handed::NotNow => standing.again = Some(Instant::now() + AGAIN),
            // Its news may have been lost among others.
            Handed::Ended => return self.ended().await,
            Handed::Never(message) => return self.end(Outcome::Failed, &message).await.map(Some),
        }
        Ok(None)
    }

    /// Why a call is given up whose agent was away for so long.
    fn late(&self, out: bool) -> String {
        let (agent, patience) = (&self.seat.line, self.patience(out).as_secs());
        if out {
            format!(
                "{agent} has not been heard for {patience} s; what became of the step is not known"
            )
        } else {
            format!(
                "{agent} was not there, was drained or had too much to do, and did not begin within {patience} s"
            )
        }
    }

    fn patience(&self, out: bool) -> Duration {
        if out {
            self.dispatch.core.settings.unreachable_after
        } else {
            self.dispatch.queue_timeout
        }
    }

    async fn turn(
        &mut self,
        cancel: &Cancel,
        standing: &Standing,
        line: Option<&Line>,
        changes: &mut tokio::sync::watch::Receiver<u64>,
    ) -> Turn {
        let late = match (standing.told, line) {
            (Some(told), _) => Some(told + LAST_WORDS),
            // Its turn comes when others have ended.
            (None, Some(_)) if standing.out || standing.declined.is_none() => None,
            (None, _) => {
                let declined = standing.declined.filter(|_| !standing.out);
                Some(declined.unwrap_or(standing.away) + self.patience(standing.out))
            }
        };
        let held = |line: &&Line| standing.holder == Some(line.session);
        let placed = |line: &&Line| {
            let placed = standing.place.as_ref();
            placed.is_some_and(|(session, _)| *session == line.session)
        };
        let wants = line.filter(|line| !held(line));
        let room = async {
            match wants.filter(|line| !placed(line)) {
                // A closed one is of a session that has ended.
                Some(line) => match Arc::clone(&line.room).acquire_owned().await {
                    Ok(place) => place,
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        let again = wants.and(standing.again);
        tokio::select! {
            biased;
            news = self.wait.news() => Turn::News(news),
            () = cancel.given(), if standing.told.is_none() => Turn::Cancelled,
            _ = changes.changed() => Turn::Look,
            place = room => Turn::Room(place),
            () = at(again), if again.is_some_and(|again| again > Instant::now()) => Turn::Look,
            () = at(late) => Turn::Late,
        }
    }

    async fn cancelled(&self) -> Result<Finished, String> {
        self.end(Outcome::Cancelled, "the run was cancelled").await
    }

    /// Gives the call out with a higher fence than ever before.
    async fn give_out(&mut self, line: &Line) -> Result<Handed, String> {
        let store = &self.dispatch.core.store;
        let given = insist(|| store.give_out(&self.name.0, self.name.1, &line.journal));
        self.fence = match given.await {
            Ok(fence) => fence,
            Err(Error::CallEnded { .. }) => return Ok(Handed::Ended),
            Err(error) => return Err(said(error)),
        };
        self.journal.clone_from(&line.journal);
        Ok(self.hand_over(line).await)
    }

    /// Sends the call to the agent that it was given out to.
    async fn hand_over(&self, line: &Line) -> Handed {
        let step = self.step;
        let left = step.deps.weight() + step.stack.weight() + step.about.weight();
        if let Some(problem) = burden::too_heavy(left) {
            return Handed::Never(problem);
        }
        let assign = match self.secrets(line).await {
            Ok(secrets) => self.assign(secrets),
            Err(problem) => return Handed::Never(problem),
        };
        if let Some(problem) = burden::of(&assign) {
            return Handed::Never(problem);
        }
        if line.give(frame(Kind::Assign(assign))).await {
            Handed::Taken
        } else {
            Handed::NotNow
        }
    }

    /// The call as it is given out.
    fn assign(&self, secrets: HashMap<String, Vec<u8>>) -> Assign {
        let step = self.step;
        let task = match step.subject {
            Subject::Task(task) => Some(&self.dispatch.workflow.tasks[task]),
            Subject::Workflow => None,
        };
        Assign {
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
        }
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
        let (run, call) = (&self.name.0, self.name.1);
        if insist(|| store.end_call(run, call, end.clone()))
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
        let call = insist(|| store.call(&self.name.0, self.name.1)).await;
        let call = call.map_err(said)?;
        call.end.as_ref().map(read).transpose()
    }
}

/// Waits for a moment; for ever where there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
