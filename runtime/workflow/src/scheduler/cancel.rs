//! A signal, given once, that many may wait for or ask about.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_channel::oneshot;
use futures_util::future::{FutureExt, Shared, select_all};

/// The receiving side.
#[derive(Clone, Debug)]
pub struct Cancel {
    signal: Signal,
    /// The signals that count as this one too.
    above: Vec<Signal>,
}

#[derive(Clone, Debug)]
struct Signal {
    flag: Arc<AtomicBool>,
    given: Shared<oneshot::Receiver<()>>,
}

/// The giving side. Dropping it without giving the signal means that none will come.
#[derive(Debug)]
pub struct Canceller {
    flag: Arc<AtomicBool>,
    sender: Mutex<Option<oneshot::Sender<()>>>,
}

/// A fresh pair.
pub fn pair() -> (Canceller, Cancel) {
    let flag = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = oneshot::channel();
    (
        Canceller {
            flag: Arc::clone(&flag),
            sender: Mutex::new(Some(sender)),
        },
        Cancel {
            signal: Signal {
                flag,
                given: receiver.shared(),
            },
            above: Vec::new(),
        },
    )
}

/// A fresh pair whose signal also counts as given when another is: whoever asks need not wait until
/// somebody has passed it on.
pub fn beneath(above: &Cancel) -> (Canceller, Cancel) {
    let (canceller, mut cancel) = pair();
    cancel.above.push(above.signal.clone());
    cancel.above.extend(above.above.iter().cloned());
    (canceller, cancel)
}

impl Signal {
    async fn given(self) {
        if self.given.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Cancel {
    fn signals(&self) -> impl Iterator<Item = &Signal> {
        std::iter::once(&self.signal).chain(&self.above)
    }

    /// Whether the signal was given.
    pub fn is_given(&self) -> bool {
        self.signals()
            .any(|signal| signal.flag.load(Ordering::Relaxed))
    }

    /// Returns once the signal is given.
    pub async fn given(&self) {
        select_all(
            self.signals()
                .map(|signal| Box::pin(signal.clone().given())),
        )
        .await;
    }
}

impl Canceller {
    /// Gives the signal. Giving it again does nothing.
    pub fn give(&self) {
        self.flag.store(true, Ordering::Relaxed);
        let sender = self
            .sender
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(sender) = sender {
            // Nobody waits any more when this fails.
            let _ = sender.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_beneath_another_is_given_with_it_but_not_the_other_way_round() {
        let (above, outer) = pair();
        let (_, inner) = beneath(&outer);
        let (own, innermost) = beneath(&inner);
        own.give();
        assert!(innermost.is_given() && !inner.is_given() && !outer.is_given());
        above.give();
        assert!(inner.is_given());
        assert_eq!(inner.given().now_or_never(), Some(()));
    }
}
