//! Why a step is ended from outside. Travels through the guest as a trap.

use std::fmt;

/// The reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// The step's time ran out.
    Time,
    /// The run was cancelled.
    Cancel,
    /// The step produced more log and output than `limit` bytes.
    Output { limit: u64 },
    /// The step's scratch folder holds more than `quota` bytes.
    Scratch { quota: u64 },
}

impl fmt::Display for Interrupt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time => formatter.write_str("the task's time ran out"),
            Self::Cancel => formatter.write_str("the run was cancelled"),
            Self::Output { limit } => write!(
                formatter,
                "the task produced more than its {limit} bytes of log and output; print less, or \
                 raise output in [limits] of the policy"
            ),
            Self::Scratch { quota } => write!(
                formatter,
                "the task's scratch folder holds more than its {quota} bytes; keep less there, or \
                 raise scratch in [limits] of the policy"
            ),
        }
    }
}

impl std::error::Error for Interrupt {}

impl From<Interrupt> for crate::host::Error {
    fn from(interrupt: Interrupt) -> Self {
        Self::Trap(wasmtime::Error::from(interrupt))
    }
}
