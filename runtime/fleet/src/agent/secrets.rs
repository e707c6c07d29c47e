//! The secrets of a run: the node's own, and behind them those that the master sent along, in memory only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use sloth_sandbox::ports::Secrets;
use sloth_sandbox::ports::secrets::Unreadable;
use zeroize::Zeroizing;

/// Most secrets that one run is sent.
const MOST: usize = 1000;

pub(super) struct Handed {
    own: Arc<dyn Secrets>,
    sent: RwLock<BTreeMap<String, Zeroizing<String>>>,
}

impl Handed {
    pub(super) fn behind(own: Arc<dyn Secrets>) -> Self {
        Self {
            own,
            sent: RwLock::default(),
        }
    }

    pub(super) fn add(&self, secrets: BTreeMap<String, Zeroizing<String>>) {
        let mut sent = self.sent.write().unwrap_or_else(PoisonError::into_inner);
        for (name, value) in secrets {
            if sent.len() < MOST || sent.contains_key(&name) {
                sent.insert(name, value);
            }
        }
    }
}

impl Secrets for Handed {
    fn value(&self, name: &str) -> Result<Option<Zeroizing<String>>, Unreadable> {
        // What the node's own operator set is not replaced from afar.
        if let Some(value) = self.own.value(name)? {
            return Ok(Some(value));
        }
        let sent = self.sent.read().unwrap_or_else(PoisonError::into_inner);
        Ok(sent.get(name).cloned())
    }
}

impl fmt::Debug for Handed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Handed")
    }
}
