//! What one attempt of a task holds between its calls: its working folder and its instance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sloth_workflow::{Artifact, Subject};
use tokio::sync::OwnedSemaphorePermit;

use crate::sandbox::Loaded;
use crate::scratch::Scratch;

/// Instances that wait for their next step, by whose grants they have.
#[derive(Default)]
pub(crate) struct Idle {
    by_grants: Mutex<BTreeMap<usize, Vec<Loaded>>>,
}

/// A place of an attempt. Dropping it gives the instance back and removes the folder.
pub struct Seat {
    pub(crate) subject: Subject,
    /// Whose grants the instance has.
    pub(crate) grants: usize,
    /// To be put into the working folder before the first call.
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) scratch: Option<Arc<Scratch>>,
    pub(crate) loaded: Option<Loaded>,
    /// One of the node's places for steps at work, from the first call on.
    pub(crate) room: Option<OwnedSemaphorePermit>,
    pub(crate) idle: Arc<Idle>,
    /// As many instances may wait as may run: the pool has room for both.
    pub(crate) most: usize,
}

impl Idle {
    pub(crate) fn take(&self, grants: usize) -> Option<Loaded> {
        let mut idle = self
            .by_grants
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.get_mut(&grants).and_then(Vec::pop)
    }

    /// Keeps an instance. Its gate stays open with nothing running in it, and the next step opens it
    /// anew. When too many wait, whoever has waited for other grants goes first.
    fn keep(&self, grants: usize, loaded: Loaded, most: usize) {
        let mut idle = self
            .by_grants
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while idle.values().map(Vec::len).sum::<usize>() >= most {
            let other = idle
                .iter()
                .find(|(other, kept)| **other != grants && !kept.is_empty());
            let from = other.map_or(grants, |(other, _)| *other);
            idle.get_mut(&from).and_then(Vec::pop);
        }
        idle.entry(grants).or_default().push(loaded);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(mut loaded) = self.loaded.take() {
            loaded.store.data_mut().tree.end_step();
            // One that was short of memory would be so again.
            if !loaded.store.data().meter.refused() {
                self.idle.keep(self.grants, loaded, self.most);
            }
        }
    }
}
