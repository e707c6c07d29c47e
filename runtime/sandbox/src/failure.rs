//! Why a bundle could not be loaded, or a step did not succeed.

use sloth_workflow::text::Untrusted;
use sloth_workflow::{Finished, Outcome, Value};
use wasmtime::Trap;

use crate::bindings;
use crate::interrupt::Interrupt;
use crate::meter::Meter;

/// A failure in the words a user reads. The text may quote the workflow.
#[derive(Clone, Debug)]
pub struct Failure {
    pub outcome: Outcome,
    pub message: Untrusted,
    /// `file:line` in the workflow.
    pub location: Option<Untrusted>,
    pub traceback: Option<Untrusted>,
    pub left: Box<Left>,
}

/// What a failed task left all the same. What a trap ended has left nothing.
#[derive(Clone, Debug)]
pub struct Left {
    /// Its outputs.
    pub outputs: Value,
    /// What it set with `stack.set_output`.
    pub stack: Value,
}

impl Left {
    pub(crate) fn nothing() -> Self {
        Self {
            outputs: Value::empty(),
            stack: Value::empty(),
        }
    }
}

impl Failure {
    pub(crate) fn new(outcome: Outcome, message: impl Into<Untrusted>) -> Self {
        Self {
            outcome,
            message: message.into(),
            location: None,
            traceback: None,
            left: Box::new(Left::nothing()),
        }
    }

    /// What the guest reported. It is taken at its word but for a denial, which the host must
    /// remember to have given.
    pub(crate) fn reported(
        failure: bindings::Failure,
        was_denied: impl Fn(&str, &str) -> bool,
        left: Left,
    ) -> Self {
        let denied = failure
            .denial
            .as_ref()
            .is_some_and(|denial| was_denied(&denial.capability, &denial.subject));
        Self {
            outcome: if denied {
                Outcome::Denied
            } else {
                Outcome::Failed
            },
            message: cut(failure.message).into(),
            location: failure.location.map(cut).map(Untrusted::from),
            traceback: failure.traceback.map(cut).map(Untrusted::from),
            left: Box::new(left),
        }
    }

    /// One of our interrupts, if it is one.
    pub(crate) fn interrupted(error: &wasmtime::Error) -> Option<Self> {
        let interrupt = error.downcast_ref::<Interrupt>()?;
        let outcome = match interrupt {
            Interrupt::Time => Outcome::TimedOut,
            Interrupt::Cancel => Outcome::Cancelled,
            Interrupt::Output { .. } | Interrupt::Scratch { .. } => Outcome::Failed,
        };
        Some(Self::new(outcome, interrupt.to_string()))
    }

    /// A trap: an interrupt of ours, a limit, or a defect.
    pub(crate) fn trapped(error: &wasmtime::Error, meter: &Meter) -> Self {
        if let Some(interrupted) = Self::interrupted(error) {
            return interrupted;
        }
        if meter.refused() {
            return Self::new(Outcome::Failed, out_of_memory(meter));
        }
        if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
            Self::new(
                Outcome::Failed,
                "the task's stack is exhausted: it calls itself too deep",
            )
        } else {
            tracing::error!("the sandbox trapped: {error:#}");
            Self::new(
                Outcome::Failed,
                format!("the sandbox ended the task: {error:#}"),
            )
        }
    }
}

/// Longest text kept of what a guest says of its end, in bytes: a run keeps it of every task.
const LONGEST: usize = 64 << 10;

pub(crate) fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

/// The message for a guest that asked for more memory than it may have.
pub(crate) fn out_of_memory(meter: &Meter) -> String {
    format!(
        "the task is out of memory: it may use {} MiB; use less, or raise memory in [limits] of \
         the policy",
        meter.limit() >> 20
    )
}

impl From<Failure> for Finished {
    fn from(failure: Failure) -> Self {
        Self {
            location: failure.location,
            traceback: failure.traceback,
            outputs: failure.left.outputs,
            stack: failure.left.stack,
            ..Self::with(failure.outcome, failure.message)
        }
    }
}
