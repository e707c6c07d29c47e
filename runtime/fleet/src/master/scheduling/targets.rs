//! On how many targets a run is at work at once, all its pipelines and what fans out in them together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The targets that a run is at work on.
pub(crate) struct Targets {
    /// 0 is no limit.
    most: usize,
    /// How many calls are out at each.
    busy: Mutex<HashMap<String, usize>>,
    /// Changes when one has become free.
    freed: watch::Sender<()>,
}

/// A call's part in its target's being busy.
pub(crate) struct Busy {
    targets: Arc<Targets>,
    target: String,
}

impl Targets {
    pub(crate) fn at_most(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            busy: Mutex::default(),
            freed: watch::Sender::new(()),
        })
    }

    /// Waits until a call may be out at a target. Where others are out already, one more makes no difference.
    pub(crate) async fn wait(self: &Arc<Self>, target: &str) -> Busy {
        let mut freed = self.freed.subscribe();
        loop {
            freed.borrow_and_update();
            if let Some(busy) = self.take(target, false) {
                return busy;
            }
            // The sender lives as long as this.
            let _ = freed.changed().await;
        }
    }

    /// Counts a call that is out already.
    pub(crate) fn count(self: &Arc<Self>, target: &str) -> Option<Busy> {
        self.take(target, true)
    }

    fn take(self: &Arc<Self>, target: &str, anyway: bool) -> Option<Busy> {
        let mut busy = self.busy();
        let full = self.most > 0 && busy.len() >= self.most && !busy.contains_key(target);
        if full && !anyway {
            return None;
        }
        *busy.entry(target.to_owned()).or_default() += 1;
        Some(Busy {
            targets: Arc::clone(self),
            target: target.to_owned(),
        })
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut busy = self.targets.busy();
        if let Some(calls) = busy.get_mut(&self.target) {
            *calls -= 1;
            if *calls == 0 {
                busy.remove(&self.target);
                self.targets.freed.send_replace(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn so_many_targets_are_busy_and_no_more() {
        let targets = Targets::at_most(2);
        let first = targets.wait("a").await;
        let again = targets.wait("a").await;
        let second = targets.wait("b").await;
        let mut third = std::pin::pin!(targets.wait("c"));
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        assert!((&mut third).now_or_never().is_none(), "a is still busy");
        drop(again);
        assert!(third.now_or_never().is_some());
        drop(second);
    }

    #[tokio::test]
    async fn what_is_out_already_counts_and_waits_for_nothing() {
        let targets = Targets::at_most(1);
        let out = [targets.count("a"), targets.count("b")];
        let mut next = std::pin::pin!(targets.wait("c"));
        assert!((&mut next).now_or_never().is_none());
        drop(out);
        assert!(next.now_or_never().is_some());
    }

    #[tokio::test]
    async fn no_limit_holds_up_nobody() {
        let targets = Targets::at_most(0);
        let all = ["a", "b", "c"].map(|target| targets.wait(target).now_or_never());
        assert!(all.iter().all(Option::is_some));
    }
}
