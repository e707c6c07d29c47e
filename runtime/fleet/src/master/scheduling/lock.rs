//! The lock that a workflow names: no two runs of a master hold it at the same time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sloth_workflow::event::Level;
use sloth_workflow::plan::{Lock, Wait};
use sloth_workflow::{Cancel, Event, Outcome};
use tokio::task::JoinHandle;

use super::emitter::Emitter;
use super::insist::insist;
use crate::master::Core;
use crate::store::master::{Error, Lock as Answer, WhenHeld};

/// How long a lock is held without being held anew.
const LEASE: Duration = Duration::from_mins(1);

/// A lock that is held on for as long as this lives. The run's end gives it back.
pub(crate) struct Holding {
    renewing: JoinHandle<()>,
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// What came of asking for a lock.
pub(crate) enum Asked {
    /// The run has it, or needs none.
    Free(Option<Holding>),
    /// The run may not begin: every task ends so.
    Taken(Outcome, String),
}

impl Core {
    /// Takes a run's lock, as its workflow says. A run that is taken up again has it still.
    pub(crate) async fn lock(
        self: &Arc<Self>,
        run: &str,
        lock: Option<&Lock>,
        emitter: &Emitter,
        cancel: &Cancel,
    ) -> Result<Asked, Error> {
        let Some(lock) = lock else {
            return Ok(Asked::Free(None));
        };
        let when_held = match lock.wait {
            Wait::Queue => WhenHeld::Queue,
            Wait::Skip | Wait::Fail => WhenHeld::Leave,
        };
        let mut changes = self.store.watch_locks();
        loop {
            changes.borrow_and_update();
            let now = SystemTime::now();
            let name = lock.name.raw();
            let answer = insist(|| self.store.lock(name, run, when_held, LEASE, now)).await?;
            let name = lock.name.escaped();
            let message = match answer {
                Answer::Held => return Ok(Asked::Free(Some(self.hold(run)))),
                Answer::Busy { by } => format!("run {by} holds the lock `{name}`"),
                Answer::Waiting { .. } => format!("another run holds the lock `{name}`"),
            };
            match lock.wait {
                Wait::Skip => return Ok(Asked::Taken(Outcome::Skipped, message)),
                Wait::Fail => return Ok(Asked::Taken(Outcome::Failed, message)),
                Wait::Queue if cancel.is_given() => {
                    return Ok(Asked::Taken(Outcome::Cancelled, message));
                }
                Wait::Queue => {}
            }
            // Its words make it one event, however often it is asked.
            let waits = Event::Log {
                task: "".into(),
                level: Level::Info,
                message: format!("{message}; this run waits for its end").into(),
            };
            emitter.emit(waits, None);
            tokio::select! {
                _ = changes.changed() => {}
                // A lease that runs out tells nobody.
                () = tokio::time::sleep(LEASE / 2) => {}
                () = cancel.given() => {}
            }
        }
    }

    /// Keeps a lock from running out. A run that has lost it all the same is in the midst of what another may
    /// have begun: it is cancelled.
    fn hold(self: &Arc<Self>, run: &str) -> Holding {
        let (core, run) = (Arc::clone(self), run.to_owned());
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LEASE / 3).await;
                let renewed = core.store.renew_locks(&run, LEASE, SystemTime::now()).await;
                match renewed {
                    Ok(0) => {
                        tracing::error!(run, "another run has taken its lock; it is cancelled");
                        return core.courses.cancel(&run);
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(run, %error, "its lock could not be renewed"),
                }
            }
        });
        Holding { renewing }
    }

    /// Gives the runs that are taken up again their locks for another lease, before any other run asks.
    pub(crate) async fn keep_locks(&self, runs: &[String]) -> Result<(), Error> {
        for run in runs {
            let now = SystemTime::now();
            self.store.renew_locks(run, LEASE, now).await?;
        }
        Ok(())
    }
}
