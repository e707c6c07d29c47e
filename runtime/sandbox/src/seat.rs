//! What one attempt of a task holds between its calls: its working folder and its instance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sloth_workflow::{Artifact, Subject};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::sandbox::Loaded;
use crate::scratch::Scratch;

/// Instances that wait for their next step, by whose grants they have.
#[derive(Default)]
pub(crate) struct Idle {
    by_grants: Mutex<BTreeMap<usize, Vec<Waiting>>>,
}

/// An instance, with the sandbox's place for one that waits.
type Waiting = (Loaded, OwnedSemaphorePermit);

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
    /// The sandbox's places for instances that wait, for all runs together.
    pub(crate) waiting: Arc<Semaphore>,
}

impl Idle {
    pub(crate) fn take(&self, grants: usize) -> Option<Loaded> {
        let mut idle = self
            .by_grants
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (loaded, _) = idle.get_mut(&grants).and_then(Vec::pop)?;
        Some(loaded)
    }

    /// Keeps an instance. Its gate stays open with nothing running in it, and the next step opens it
    /// anew. When too many wait, one of this run that waits for other grants gives up its place; if there
    /// is none, the instance is not kept.
    fn keep(&self, grants: usize, loaded: Loaded, waiting: &Arc<Semaphore>) {
        let mut idle = self
            .by_grants
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let place = Arc::clone(waiting).try_acquire_owned().ok().or_else(|| {
            let mut others = idle.iter_mut().filter(|(other, _)| **other != grants);
            let (_, place) = others.find_map(|(_, kept)| kept.pop())?;
            Some(place)
        });
        if let Some(place) = place {
            idle.entry(grants).or_default().push((loaded, place));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(mut loaded) = self.loaded.take() {
            loaded.store.data_mut().tree.end_step();
            // One that was short of memory would be so again.
            if !loaded.store.data().meter.refused() {
                self.idle.keep(self.grants, loaded, &self.waiting);
            }
        }
    }
}
