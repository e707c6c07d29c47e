//! What ends a run early: the operator's cancel, and the end of the workflow's time.

use std::pin::Pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::cancel::{self, Canceller};
use super::{Cancel, Clock};

/// Why a run ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    Cancel,
    Timeout,
}

/// Waits for work and for an interruption together, and passes an interruption on to what runs.
pub(super) struct Watch<'a, C> {
    clock: &'a C,
    /// The operator's signal.
    cancel: &'a Cancel,
    deadline: Option<Duration>,
    coming: Pin<Box<dyn Future<Output = Interruption> + Send + 'a>>,
    came: Option<Interruption>,
    canceller: Canceller,
    signal: Cancel,
}

impl<'a, C: Clock> Watch<'a, C> {
    pub(super) fn new(clock: &'a C, cancel: &'a Cancel, timeout: Option<Duration>) -> Self {
        let deadline = timeout.map(|timeout| clock.now().saturating_add(timeout));
        let (canceller, signal) = cancel::beneath(cancel);
        Self {
            clock,
            cancel,
            deadline,
            coming: Box::pin(coming(clock, cancel, deadline)),
            came: None,
            canceller,
            signal,
        }
    }

    /// The signal for what runs: given at either interruption.
    pub(super) fn signal(&self) -> Cancel {
        self.signal.clone()
    }

    /// Whether an interruption came, even one that nobody has awaited yet. A cancel after the end of
    /// the workflow's time takes its place.
    pub(super) fn interruption(&mut self) -> Option<Interruption> {
        if self.came != Some(Interruption::Cancel) {
            if self.cancel.is_given() {
                self.interrupt(Interruption::Cancel);
            } else if self.came.is_none()
                && self.deadline.is_some_and(|end| self.clock.now() >= end)
            {
                self.interrupt(Interruption::Timeout);
            }
        }
        self.came
    }

    /// Awaits `work`; none when an interruption came first. After that it only awaits.
    pub(super) async fn first<F: Future + Unpin>(&mut self, work: F) -> Option<F::Output> {
        if self.came.is_some() {
            return Some(work.await);
        }
        match select(&mut self.coming, work).await {
            Either::Left((interruption, _)) => {
                self.interrupt(interruption);
                None
            }
            Either::Right((done, _)) => Some(done),
        }
    }

    /// Awaits `work` to its end, interrupted or not.
    pub(super) async fn all<F: Future + Unpin>(&mut self, mut work: F) -> F::Output {
        loop {
            if let Some(done) = self.first(&mut work).await {
                return done;
            }
        }
    }

    fn interrupt(&mut self, interruption: Interruption) {
        self.came = Some(interruption);
        self.canceller.give();
    }
}

async fn coming<C: Clock>(clock: &C, cancel: &Cancel, deadline: Option<Duration>) -> Interruption {
    let cancelled = std::pin::pin!(cancel.given());
    let Some(deadline) = deadline else {
        cancelled.await;
        return Interruption::Cancel;
    };
    let over = std::pin::pin!(clock.deadline(deadline));
    match select(cancelled, over).await {
        Either::Left(_) => Interruption::Cancel,
        Either::Right(_) => Interruption::Timeout,
    }
}
