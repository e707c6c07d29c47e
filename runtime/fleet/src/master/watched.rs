//! A master as those see it who watch it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Core;
use crate::store::master::Error;
use crate::telemetry::{Looking, Members, Sight, Subject};

/// How far the master is.
#[derive(Debug, Default)]
pub(super) struct Stage(AtomicU8);

const SERVING: u8 = 1;
const STOPPING: u8 = 2;

impl Stage {
    /// Callers are let in.
    pub(super) fn serve(&self) {
        self.0.store(SERVING, Ordering::Relaxed);
    }

    /// It was told to end.
    pub(super) fn stop(&self) {
        self.0.store(STOPPING, Ordering::Relaxed);
    }

    fn ready(&self) -> Result<(), String> {
        match self.0.load(Ordering::Relaxed) {
            SERVING => Ok(()),
            STOPPING => Err("the master is ending".to_owned()),
            _ => Err("the master is starting: it takes up the runs that it keeps".to_owned()),
        }
    }
}

pub(super) struct Watched(pub(super) Arc<Core>);

impl Subject for Watched {
    fn look(&self) -> Looking<'_> {
        Box::pin(async {
            let core = &self.0;
            match core.seen().await {
                Ok((running, members)) => Sight {
                    well: Ok(()),
                    ready: core.stage.ready(),
                    running,
                    members: Some(members),
                },
                Err(error) => Sight::unwell(error.to_string()),
            }
        })
    }
}

impl Core {
    async fn seen(&self) -> Result<(u64, Members), Error> {
        let load = self.store.load().await?;
        let mut members = Members {
            waiting: load.waiting,
            ..Members::default()
        };
        for (name, drained) in self.store.agent_names().await? {
            // As `agent list` says it.
            let count = if drained {
                &mut members.drained
            } else if self.registry.line(&name).is_some() {
                &mut members.online
            } else {
                &mut members.lost
            };
            *count += 1;
        }
        Ok((load.out, members))
    }
}
