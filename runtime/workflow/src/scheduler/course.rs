//! One task's course: conditions, attempts with their hooks, and the hook for how it ended.

use std::time::Duration;

use futures_util::future::{Either, select};

use super::ledger::Inputs;
use super::{Artifact, Cancel, Clock, Executor, Finished, Run, Subject};
use crate::placement::LOCAL;
use crate::plan::{Part, Retries, Task};
use crate::{Event, Outcome, Value};

pub(super) const TIME_RAN_OUT: &str = "the workflow's time ran out";

/// How a task ended.
pub(super) struct Ended {
    pub(super) task: usize,
    /// Its stack is what all parts set.
    pub(super) finished: Finished,
    pub(super) took: Duration,
    /// `abort_if` was true: nothing more starts.
    pub(super) abort: bool,
}

/// A task on its way.
pub(super) struct Course<'a, E, C> {
    pub(super) run: &'a Run<'a, E, C>,
    pub(super) index: usize,
    pub(super) task: &'a Task,
    pub(super) deps: Value,
    artifacts: Vec<Artifact>,
    /// The stack as this task sees it.
    pub(super) stack: Value,
    /// What this task set in it.
    pub(super) set: Value,
    /// Whether a part changed something.
    pub(super) changed: bool,
    pub(super) cancel: Cancel,
}

/// What the conditions say.
enum Verdict {
    Go,
    End(Finished),
    Abort(Finished),
}

impl<'a, E: Executor, C: Clock> Course<'a, E, C> {
    pub(super) fn new(
        run: &'a Run<'a, E, C>,
        index: usize,
        inputs: Inputs,
        cancel: Cancel,
    ) -> Self {
        Self {
            run,
            index,
            task: &run.workflow.tasks[index],
            deps: inputs.deps,
            artifacts: inputs.artifacts,
            stack: inputs.stack,
            set: Value::empty(),
            changed: false,
            cancel,
        }
    }

    /// Goes to the end.
    pub(super) async fn finish(mut self) -> Ended {
        let began = self.run.clock.now();
        let (mut finished, abort) = if self.is_over() {
            let message = "the run was cancelled before it started";
            (Finished::with(Outcome::Cancelled, message), false)
        } else {
            let mut seat = self.seat();
            match self.conditions(&mut seat).await {
                Verdict::Go => (self.attempts(seat).await, false),
                Verdict::End(finished) => (finished, false),
                Verdict::Abort(finished) => (finished, true),
            }
        };
        finished.stack = self.set;
        Ended {
            task: self.index,
            finished,
            took: self.run.clock.now().saturating_sub(began),
            abort,
        }
    }

    /// Asks `run_if` and `abort_if`, once for all attempts.
    async fn conditions(&mut self, seat: &mut E::Seat) -> Verdict {
        if self.task.run_if.is_some() {
            let asked = self.call(seat, Part::RunIf, 1, Value::empty()).await;
            if !asked.outcome.succeeded() {
                return Verdict::End(asked.of(Part::RunIf));
            }
            if !asked.answer {
                return Verdict::End(Finished::with(Outcome::Skipped, "run_if is false"));
            }
        }
        if self.task.abort_if.is_some() {
            let asked = self.call(seat, Part::AbortIf, 1, Value::empty()).await;
            if !asked.outcome.succeeded() {
                return Verdict::End(asked.of(Part::AbortIf));
            }
            if asked.answer {
                return Verdict::Abort(Finished::with(Outcome::Failed, "abort_if is true"));
            }
        }
        // What a condition changed in answering is no part of what the task does.
        self.changed = false;
        Verdict::Go
    }

    /// Makes attempts, each in a seat of its own, until one is the last.
    async fn attempts(&mut self, mut seat: E::Seat) -> Finished {
        let mut attempt = 1;
        loop {
            if self.is_over() {
                return cancelled();
            }
            self.emit(Event::StepStarted {
                task: self.task.name.clone(),
                target: self.task.target.as_deref().unwrap_or(LOCAL).to_owned(),
                attempt,
            });
            let finished = self.attempt(&mut seat, attempt).await;
            let retries: &Retries = &self.task.retries;
            if self.is_over() || !retries.follow(attempt, finished.outcome) {
                return self.after(&mut seat, attempt, finished).await;
            }
            drop(seat);
            let delay = retries.delay_after(attempt, self.run.jitter);
            self.emit(Event::StepRetrying {
                task: self.task.name.clone(),
                attempt,
                outcome: finished.outcome,
                message: finished.message,
                delay,
            });
            if !self.wait(delay).await {
                if !self.is_too_late() {
                    return cancelled();
                }
                let mut seat = self.seat();
                return self.after(&mut seat, attempt, cancelled()).await;
            }
            attempt += 1;
            seat = self.seat();
        }
    }

    pub(super) fn emit(&self, event: Event) {
        (self.run.emit)(event, self.task.target.as_deref());
    }

    fn seat(&self) -> E::Seat {
        self.run
            .executor
            .seat(Subject::Task(self.index), self.artifacts.clone())
    }

    /// Whether nothing more may start. The operator's signal is asked too, since it may have been
    /// given since the run last looked.
    pub(super) fn is_over(&self) -> bool {
        self.cancel.is_given() || self.run.cancel.is_given()
    }

    /// Whether it is the workflow's time that ran out, and the operator has not cancelled.
    pub(super) fn is_too_late(&self) -> bool {
        self.cancel.is_given() && !self.run.cancel.is_given()
    }

    /// Lets the delay pass; false when the run ended first.
    async fn wait(&self, delay: Duration) -> bool {
        let clock = self.run.clock;
        let given = std::pin::pin!(self.cancel.given());
        let passed = std::pin::pin!(clock.sleep_until(clock.now().saturating_add(delay)));
        matches!(select(given, passed).await, Either::Right(_)) && !self.is_over()
    }
}

pub(super) fn cancelled() -> Finished {
    Finished::with(Outcome::Cancelled, "the run was cancelled")
}

/// What was ended because the workflow's time ran out.
pub(super) fn out_of_time(finished: Finished) -> Finished {
    Finished {
        outcome: Outcome::TimedOut,
        message: TIME_RAN_OUT.into(),
        ..finished
    }
}
