//! A signal, given once, that many may wait for or ask about.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_channel::oneshot;
use futures_util::future::{FutureExt, Shared};

/// The receiving side.
#[derive(Clone, Debug)]
pub struct Cancel {
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
            flag,
            given: receiver.shared(),
        },
    )
}

impl Cancel {
    /// Whether the signal was given.
    pub fn is_given(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Returns once the signal is given.
    pub async fn given(&self) {
        if self.given.clone().await.is_err() {
            std::future::pending::<()>().await;
        }
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
