//! The workflow's own hooks: `on_start` before all tasks, `on_complete` after them.

use super::ledger::{Ledger, map};
use super::{Cancel, Clock, Executor, Finished, Run, Step, Subject};
use crate::event::Level;
use crate::plan::Part;
use crate::{Event, Untrusted, Value};

impl<E: Executor, C: Clock> Run<'_, E, C> {
    /// Calls `on_start`; none when there is none.
    pub(super) async fn on_start(&self, stack: Value, cancel: Cancel) -> Option<Finished> {
        self.frame(Part::OnStart, stack, Value::empty(), cancel)
            .await
    }

    /// Calls `on_complete`; none when there is none. The workflow's time does not end it, since it
    /// may already be over; the operator does.
    pub(super) async fn on_complete(&self, ledger: &Ledger<'_>, success: bool) -> Option<Finished> {
        if !self.workflow.hooks.contains(Part::OnComplete) {
            return None;
        }
        let about = map([
            ("success", Value::Bool(success)),
            ("results", ledger.results()),
        ]);
        let stack = ledger.stack().clone();
        let finished = self
            .frame(Part::OnComplete, stack, about, self.cancel.clone())
            .await?;
        if !finished.outcome.succeeded() {
            let event = Event::Log {
                task: Untrusted::default(),
                level: Level::Error,
                message: finished.complaint(Part::OnComplete),
            };
            (self.emit)(event, None);
        }
        Some(finished)
    }

    async fn frame(
        &self,
        part: Part,
        stack: Value,
        about: Value,
        cancel: Cancel,
    ) -> Option<Finished> {
        if !self.workflow.hooks.contains(part) {
            return None;
        }
        let step = Step {
            subject: Subject::Workflow,
            part,
            attempt: 1,
            deps: Value::empty(),
            stack,
            about,
        };
        let mut seat = self.executor.seat(Subject::Workflow, Vec::new());
        Some(self.executor.execute(&mut seat, step, cancel).await)
    }
}
