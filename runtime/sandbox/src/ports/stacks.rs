//! What the runs of a stack leave for those after them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use sloth_workflow::Value;

use super::Problem;

/// Most that a stack keeps, in bytes of CBOR with its keys: what one step can be handed.
pub const MOST_BYTES: u64 = 1 << 20;

/// Outputs by their keys.
pub type Outputs = BTreeMap<String, Value>;

/// Keeps the outputs of stacks. Calls may block for some seconds at most.
pub trait Stacks: fmt::Debug + Send + Sync {
    /// What the stack of that name holds; nothing for one that never was.
    fn outputs(&self, stack: &str) -> Result<Outputs, Problem>;

    /// Lays outputs over those there are, as one; [`Value::Null`] removes a key. Refuses what would
    /// keep more than [`MOST_BYTES`].
    fn keep(&self, stack: &str, outputs: &Outputs) -> Result<(), Problem>;
}

/// What is to be said when there is no more room.
pub fn full() -> Problem {
    Problem(format!(
        "a stack keeps {} MiB of outputs at most; set less, or remove some with stack.delete_output",
        MOST_BYTES >> 20
    ))
}

/// Stacks that end with the process.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<String, Outputs>>);

impl Stacks for Memory {
    fn outputs(&self, stack: &str) -> Result<Outputs, Problem> {
        let stacks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(stacks.get(stack).cloned().unwrap_or_default())
    }

    fn keep(&self, stack: &str, outputs: &Outputs) -> Result<(), Problem> {
        let mut stacks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = stacks.entry(stack.to_owned()).or_default();
        for (key, value) in outputs {
            match value {
                Value::Null => drop(held.remove(key)),
                value => drop(held.insert(key.clone(), value.clone())),
            }
        }
        Ok(())
    }
}
