//! How those who are inside already are put out: at once when their proof is revoked, and when its time is over.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tonic::Status;

use super::caller::{Caller, Proof};
use crate::pki::Clock;

/// The longest that is slept at once, so that a clock that was set is noticed.
const NAP: Duration = Duration::from_mins(10);

/// What was revoked since the master started. What was before, the store knows.
#[derive(Clone, Debug)]
pub struct Revocations(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    gone: RwLock<HashSet<Proof>>,
    changed: watch::Sender<()>,
    clock: Clock,
}

impl Revocations {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            gone: RwLock::default(),
            changed: watch::Sender::new(()),
            clock,
        }))
    }

    /// Ends everything that goes on in the name of these. To be called after the store has revoked them, so that no
    /// call comes in between.
    pub fn revoke(&self, proofs: impl IntoIterator<Item = Proof>) {
        let mut gone = self.0.gone.write().unwrap_or_else(PoisonError::into_inner);
        gone.extend(proofs);
        drop(gone);
        self.0.changed.send_replace(());
    }

    /// Whether it was revoked since the start.
    pub fn has(&self, proof: &Proof) -> bool {
        self.0
            .gone
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(proof)
    }

    /// Waits until a caller may no more, and says why.
    pub async fn ended(self, caller: Caller) -> Status {
        let mut changed = self.0.changed.subscribe();
        loop {
            if self.has(&caller.proof) {
                return Status::unauthenticated(format!("{} was revoked", what(&caller.proof)));
            }
            let left = caller.expires.map(|moment| self.0.clock.until(moment));
            if left.is_some_and(|left| left.is_zero()) {
                return Status::unauthenticated(format!("{} has run out", what(&caller.proof)));
            }
            tokio::select! {
                // The sender is ours, and does not go away.
                _ = changed.changed() => {}
                () = sleep(left.unwrap_or(NAP).min(NAP)) => {}
            }
        }
    }
}

/// In words.
pub(crate) const fn what(proof: &Proof) -> &'static str {
    match proof {
        Proof::Certificate(_) => "the certificate",
        Proof::Key(_) => "the API key",
        Proof::Loopback => "the connection",
    }
}
