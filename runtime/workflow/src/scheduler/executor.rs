//! What the scheduler asks of others.

use std::time::Duration;

use crate::plan::Part;
use crate::text::Untrusted;
use crate::{Cancel, Outcome, Value};

/// Runs steps, wherever that is.
pub trait Executor: Sync {
    /// What one attempt holds between its calls: working folder, instance. Dropping it gives them
    /// back.
    type Seat: Send;

    /// A seat for one attempt. `artifacts` are put into the working folder before its first call.
    fn seat(&self, subject: Subject, artifacts: Vec<Artifact>) -> Self::Seat;

    /// Runs one step to its end, within the task's own time. Ends soon after `cancel` is given,
    /// with a cancelled outcome.
    fn execute(
        &self,
        seat: &mut Self::Seat,
        step: Step,
        cancel: Cancel,
    ) -> impl Future<Output = Finished> + Send;
}

/// Tells and awaits time since some fixed moment.
pub trait Clock: Sync {
    fn now(&self) -> Duration;
    fn sleep_until(&self, moment: Duration) -> impl Future<Output = ()> + Send;

    /// Returns once what had time until then has no more of it. A run that is told again comes first to where it was.
    fn deadline(&self, moment: Duration) -> impl Future<Output = ()> + Send {
        self.sleep_until(moment)
    }
}

/// Whose part is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// By its index among the workflow's tasks.
    Task(usize),
    Workflow,
}

/// One call of one part.
#[derive(Clone, Debug)]
pub struct Step {
    pub subject: Subject,
    pub part: Part,
    /// From 1.
    pub attempt: u32,
    /// Map of dependency name to that task's outputs.
    pub deps: Value,
    /// Map of what was set with `stack.set_output` so far.
    pub stack: Value,
    /// What a hook is told. For those after the command `{success, outcome, message, outputs}`;
    /// for on-complete `{success, results}` with such a map for each task. Else an empty map.
    pub about: Value,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Finished {
    pub outcome: Outcome,
    pub message: Untrusted,
    /// `file:line` in the workflow, for failures.
    pub location: Option<Untrusted>,
    pub traceback: Option<Untrusted>,
    /// A map.
    pub outputs: Value,
    /// What a condition answered.
    pub answer: bool,
    /// Map of what it set with `stack.set_output`.
    pub stack: Value,
    /// The files that the command left for others.
    pub artifacts: Vec<Artifact>,
}

/// A file that a task left for others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Artifact {
    /// Path relative to the working folder.
    pub name: String,
    /// Of its content.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// Whether its owner may execute it. Equal contents may differ in that.
    pub executable: bool,
}

impl Finished {
    /// An end with nothing but an outcome and a message.
    pub fn with(outcome: Outcome, message: impl Into<Untrusted>) -> Self {
        Self {
            outcome,
            message: message.into(),
            location: None,
            traceback: None,
            outputs: Value::empty(),
            answer: false,
            stack: Value::empty(),
            artifacts: Vec::new(),
        }
    }

    /// The message; for want of one the outcome.
    pub(super) fn reason(&self) -> &str {
        if self.message.is_empty() {
            self.outcome.word()
        } else {
            self.message.raw()
        }
    }

    /// The same end with the part's key before its message.
    pub(super) fn of(mut self, part: Part) -> Self {
        self.message = format!("{}: {}", part.key(), self.reason()).into();
        self
    }

    /// A log line on a hook that did not succeed.
    pub(super) fn complaint(&self, part: Part) -> Untrusted {
        let place = self
            .location
            .as_ref()
            .map_or_else(String::new, |place| format!(" ({})", place.raw()));
        format!("{} failed: {}{place}", part.key(), self.reason()).into()
    }
}
