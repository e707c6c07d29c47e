//! One attempt of a task with the hooks around it, and the hook for how the last one ended.

use super::course::{Course, cancelled, out_of_time};
use super::ledger::{about, lay};
use super::{Cancel, Clock, Executor, Finished, Step, Subject};
use crate::event::Level;
use crate::plan::{Hooks, Part};
use crate::{Event, Outcome, Value};

impl<E: Executor, C: Clock> Course<'_, E, C> {
    /// `pre_hook`, the command, `post_hook`: each only after those before it succeeded.
    pub(super) async fn attempt(&mut self, seat: &mut E::Seat, attempt: u32) -> Finished {
        let hooks = self.task.hooks;
        if hooks.contains(Part::PreHook) {
            let before = self
                .call(seat, Part::PreHook, attempt, Value::empty())
                .await;
            if !before.outcome.succeeded() {
                let outputs = Value::empty();
                return Finished {
                    outputs,
                    ..before.of(Part::PreHook)
                };
            }
        }
        let finished = self
            .call(seat, Part::Command, attempt, Value::empty())
            .await;
        if !hooks.contains(Part::PostHook) || !finished.outcome.succeeded() {
            return finished;
        }
        let about = self.about(&finished);
        let after = self.call(seat, Part::PostHook, attempt, about).await;
        if after.outcome.succeeded() {
            return finished;
        }
        Finished {
            outputs: finished.outputs,
            artifacts: finished.artifacts,
            ..after.of(Part::PostHook)
        }
    }

    /// Calls the hook for how the last attempt ended. What it does to the outcome is at most to
    /// make it changed. The workflow's time ends no such hook, since undoing is what it is there for
    /// when time has run out: it has its own. The operator ends it.
    pub(super) async fn after(
        &mut self,
        seat: &mut E::Seat,
        attempt: u32,
        mut finished: Finished,
    ) -> Finished {
        if finished.outcome == Outcome::Cancelled && self.is_too_late() {
            finished = out_of_time(finished);
        }
        finished.outcome = self.outcome(finished.outcome);
        let hook = closing(self.task.hooks, finished.outcome);
        let cancel = &self.run.cancel;
        if let Some(part) = hook.filter(|_| !cancel.is_given()) {
            let (about, cancel) = (self.about(&finished), cancel.clone());
            let hook = self.call_until(cancel, seat, part, attempt, about).await;
            if !hook.outcome.succeeded() {
                self.emit(Event::Log {
                    task: self.task.name.clone(),
                    level: Level::Error,
                    message: hook.complaint(part),
                });
            }
        }
        finished.outcome = self.outcome(finished.outcome);
        finished
    }

    /// An outcome in the light of what other parts changed.
    fn outcome(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Ok if self.changed => Outcome::Changed,
            outcome => outcome,
        }
    }

    fn about(&self, finished: &Finished) -> Value {
        about(
            self.outcome(finished.outcome),
            &finished.message,
            finished.outputs.clone(),
        )
    }

    /// Calls one part, unless the run is over.
    pub(super) async fn call(
        &mut self,
        seat: &mut E::Seat,
        part: Part,
        attempt: u32,
        about: Value,
    ) -> Finished {
        if self.is_over() {
            return cancelled();
        }
        let cancel = self.cancel.clone();
        self.call_until(cancel, seat, part, attempt, about).await
    }

    async fn call_until(
        &mut self,
        cancel: Cancel,
        seat: &mut E::Seat,
        part: Part,
        attempt: u32,
        about: Value,
    ) -> Finished {
        let step = Step {
            subject: Subject::Task(self.index),
            part,
            attempt,
            deps: self.deps.clone(),
            stack: self.stack.clone(),
            about,
        };
        let executor = self.run.executor;
        let finished = executor.execute(seat, step, cancel).await;
        lay(&mut self.stack, finished.stack.clone());
        lay(&mut self.set, finished.stack.clone());
        self.changed |= finished.outcome == Outcome::Changed;
        finished
    }
}

/// The hook for an outcome.
fn closing(hooks: Hooks, outcome: Outcome) -> Option<Part> {
    let candidates: &[Part] = match outcome {
        Outcome::Ok | Outcome::Changed => &[Part::OnSuccess],
        Outcome::TimedOut => &[Part::OnTimeout, Part::OnFailure],
        Outcome::Failed | Outcome::Denied => &[Part::OnFailure],
        Outcome::Skipped | Outcome::Cancelled | Outcome::Unreachable => &[],
    };
    candidates
        .iter()
        .copied()
        .find(|part| hooks.contains(*part))
}
