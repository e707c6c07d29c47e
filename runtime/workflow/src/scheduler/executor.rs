//! What the scheduler asks of others.

use std::time::Duration;

use crate::text::Untrusted;
use crate::{Cancel, Outcome, Value};

/// Runs steps, wherever that is.
pub trait Executor: Sync {
    /// Runs one step to its end. Ends soon after `cancel` is given, with a cancelled outcome.
    fn execute(&self, step: Step, cancel: Cancel) -> impl Future<Output = Finished> + Send;
}

/// Tells and awaits time since some fixed moment.
pub trait Clock: Sync {
    fn now(&self) -> Duration;
    fn sleep_until(&self, moment: Duration) -> impl Future<Output = ()> + Send;
}

/// One execution of a task.
#[derive(Clone, Debug)]
pub struct Step {
    /// Index into the workflow's tasks.
    pub task: usize,
    /// From 1.
    pub attempt: u32,
    /// Map of dependency name to that task's outputs.
    pub deps: Value,
}

/// How a step ended.
#[derive(Clone, Debug)]
pub struct Finished {
    pub outcome: Outcome,
    pub message: Untrusted,
    /// `file:line` in the workflow, for failures.
    pub location: Option<Untrusted>,
    pub traceback: Option<Untrusted>,
    /// A map.
    pub outputs: Value,
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
        }
    }
}
