//! What an operator can set of a master.

use std::time::Duration;

/// Times and limits of a master.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often agents give a sign of life.
    pub heartbeat: Duration,
    /// An agent that was not heard for so long is lost.
    pub lost_after: Duration,
    /// A step on an agent that is lost for so long is unreachable.
    pub unreachable_after: Duration,
    /// A step that waits for so long for an agent to be there at all is unreachable.
    pub queue_timeout: Duration,
    /// How long a run is kept after its end.
    pub retention: Duration,
    /// Runs that are at work at once; others are queued.
    pub concurrent_runs: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            lost_after: Duration::from_secs(30),
            unreachable_after: Duration::from_mins(5),
            queue_timeout: Duration::from_mins(1),
            retention: Duration::from_hours(90 * 24),
            concurrent_runs: 256,
        }
    }
}
