//! What is told how long things take.

use std::fmt;
use std::time::Duration;

/// Takes times of one kind of work. It is told in the middle of that work, so it answers at once.
pub trait Timing: fmt::Debug + Send + Sync {
    /// The work took so long.
    fn took(&self, time: Duration);
}
