//! The end of a step's time, and its cancel: asked by the guest's epochs and by long host calls.

use std::time::{Duration, Instant};

use sloth_workflow::Cancel;

use crate::host::error::{Error, Result};
use crate::interrupt::Interrupt;

/// Does what takes long on a thread where that keeps no other step from anything.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Trap(error.into()))
}

/// When a step must end.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) deadline: Instant,
    pub(crate) cancel: Cancel,
}

impl Watch {
    pub(crate) fn new(time: Duration, cancel: Cancel) -> Self {
        let now = Instant::now();
        // Ten years is as good as for ever and never overflows.
        let deadline = now + time.min(Duration::from_hours(87_600));
        Self { deadline, cancel }
    }

    /// Waits for something, but no longer than the step has.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            done = work => Ok(done),
            () = tokio::time::sleep_until(self.deadline.into()) => Err(Interrupt::Time.into()),
            () = self.cancel.given() => Err(Interrupt::Cancel.into()),
        }
    }

    /// An error once the step must end.
    pub(crate) fn still(&self) -> std::result::Result<(), Interrupt> {
        if self.cancel.is_given() {
            Err(Interrupt::Cancel)
        } else if Instant::now() >= self.deadline {
            Err(Interrupt::Time)
        } else {
            Ok(())
        }
    }
}
