//! The link to the master, as the rest of the agent sees it: there, or gone for now.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::run::Refusal;
use crate::store::journal::Call;
use crate::wire::assign;
use crate::wire::client::Reached;
use crate::wire::generated::session_client::SessionClient;
use crate::wire::generated::upward::Kind;
use crate::wire::generated::{Declined, Upward};

/// How long a frame may wait to be taken.
pub(super) const SENDING: Duration = Duration::from_secs(10);

/// A connection that is up.
#[derive(Clone)]
pub(super) struct Up {
    pub(super) client: SessionClient<Reached>,
    pub(super) control: mpsc::Sender<Upward>,
}

/// The connection, when it is up.
pub(super) struct Link(watch::Sender<Option<Up>>);

impl Link {
    pub(super) fn down() -> Self {
        Self(watch::Sender::new(None))
    }

    pub(super) fn set(&self, up: Option<Up>) {
        self.0.send_replace(up);
    }

    pub(super) fn is_up(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits until it is up.
    pub(super) async fn up(&self) -> Up {
        let mut state = self.0.subscribe();
        loop {
            if let Some(up) = &*state.borrow_and_update() {
                return up.clone();
            }
            // The sender lives as long as this.
            let _ = state.changed().await;
        }
    }

    /// Says that a call is not taken on, once the link is up: a session that has just begun may have told the master
    /// that the call is here.
    pub(super) async fn decline(&self, call: &Call, refusal: &Refusal) {
        let reason = sloth_workflow::Untrusted::new(refusal.reason.as_str()).escaped();
        tracing::info!(run = %call.run, call = call.number, denied = refusal.denied, "a call is declined: {reason}");
        let control = self.up().await.control;
        // Of a session that ended meanwhile the next one says that the call is not here.
        let _ = tokio::time::timeout(SENDING, control.send(declined(call, refusal))).await;
    }
}

pub(super) fn declined(call: &Call, refusal: &Refusal) -> Upward {
    Upward {
        kind: Some(Kind::Declined(Declined {
            call: Some(assign::named(call)),
            reason: refusal.reason.clone(),
            denied: refusal.denied,
            later: refusal.later,
        })),
    }
}
