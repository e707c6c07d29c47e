//! Waiting for another program of the node that holds a lock: again and again, for as long as the step has time
//! to say in the end what for.

use std::time::{Duration, Instant};

use crate::host::error::Result;
use crate::watch::Watch;

/// How often it is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long before the step's end waiting ends.
const MARGIN: Duration = Duration::from_secs(1);

/// Whether there is time to try again before the step ends.
pub(super) fn may_wait(watch: &Watch) -> bool {
    Instant::now() + AGAIN + MARGIN < watch.deadline
}

/// Lets the other go on for a while.
pub(super) async fn a_while(watch: &Watch) -> Result<()> {
    tokio::select! {
        () = tokio::time::sleep(AGAIN) => {}
        () = watch.cancel.given() => {}
    }
    Ok(watch.still()?)
}
