//! A master as a process: what it opens, what it takes up again, and how it ends.

use std::path::Path;
use std::sync::Arc;

use super::course::Courses;
use super::operators::Operators;
use super::registry::Registry;
use super::session::Sessions;
use super::waiting::Waiting;
use super::{Core, Settings};
use crate::store::master::{Error, Store};
use crate::wire::generated::fleet_server::FleetServer;
use crate::wire::generated::session_server::SessionServer;

/// Largest message but those that travel in pieces: a plan of ten thousand tasks fits.
const LARGEST: usize = 16 << 20;

/// A master. Clones are the same one.
#[derive(Clone)]
pub struct Master {
    core: Arc<Core>,
}

impl Master {
    /// Opens what the master keeps. Waits for the disk.
    pub fn open(data: &Path, settings: Settings) -> Result<Self, Error> {
        let store = Arc::new(Store::open(data)?);
        Ok(Self::over(store, settings))
    }

    /// A master over a store.
    pub fn over(store: Arc<Store>, settings: Settings) -> Self {
        let courses = Courses::new(settings.concurrent_runs);
        Self {
            core: Arc::new(Core {
                store,
                settings,
                registry: Registry::new(),
                waiting: Arc::new(Waiting::default()),
                courses,
            }),
        }
    }

    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.core.store)
    }

    /// Goes on with the runs that had not ended when the last process did. Gives how many there are.
    pub async fn take_up(&self) -> Result<usize, Error> {
        let runs = self.core.store.open_runs().await?;
        for run in &runs {
            self.core.take_up(&run.id, run.cancelling);
        }
        Ok(runs.len())
    }

    /// What operators call.
    pub fn fleet(&self) -> FleetServer<impl crate::wire::generated::fleet_server::Fleet> {
        let core = Arc::clone(&self.core);
        FleetServer::new(Operators { core }).max_decoding_message_size(LARGEST)
    }

    /// What agents call.
    pub fn sessions(&self) -> SessionServer<impl crate::wire::generated::session_server::Session> {
        let core = Arc::clone(&self.core);
        SessionServer::new(Sessions { core }).max_decoding_message_size(LARGEST)
    }

    /// Ends the session of an agent whose certificate is not good any more.
    pub fn hang_up(&self, agent: &str) {
        self.core.registry.close(agent);
    }

    /// Agents that have a session, and runs that are at work or queued.
    pub fn load(&self) -> (usize, usize) {
        (self.core.registry.count(), self.core.courses.count())
    }
}
