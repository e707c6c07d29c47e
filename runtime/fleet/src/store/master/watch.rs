//! Telling those who watch that there is something new. What is told is a number, and the latest one wins: a slow
//! watcher misses nothing, takes no memory and holds up nobody.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Watchers {
    runs: Mutex<HashMap<String, watch::Sender<u64>>>,
    locks: watch::Sender<u64>,
}

impl Watchers {
    pub(super) fn new() -> Self {
        Self {
            runs: Mutex::default(),
            locks: watch::Sender::new(0),
        }
    }

    /// The number of the run's last event, whenever it grows. It begins at 0, whatever there is.
    pub(super) fn run(&self, run: &str) -> watch::Receiver<u64> {
        let mut runs = self.runs();
        // Those that nobody watches any more go when somebody comes.
        runs.retain(|_, sender| sender.receiver_count() > 0);
        runs.entry(run.to_owned())
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe()
    }

    /// Changes whenever a lock may have become free.
    pub(super) fn locks(&self) -> watch::Receiver<u64> {
        self.locks.subscribe()
    }

    pub(super) fn tell(&self, grown: BTreeMap<String, u64>, unlocked: bool) {
        if !grown.is_empty() {
            let runs = self.runs();
            for (run, last) in grown {
                if let Some(sender) = runs.get(&run) {
                    sender.send_replace(last);
                }
            }
        }
        if unlocked {
            self.locks.send_modify(|count| *count += 1);
        }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<u64>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
