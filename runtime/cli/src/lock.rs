//! The lock that a workflow names, for a run on this machine.

use std::time::Duration;

use anyhow::Context;
use sloth_fleet::store::node::locks::{Held, Locks};
use sloth_workflow::plan::{Lock, Wait};
use sloth_workflow::{Cancel, Outcome};

use crate::command::Shared;
use crate::{place, render};

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(200);

/// What came of asking for a lock.
pub(crate) enum Asked {
    /// There is none, or it is held for this run until this is dropped.
    Free(Option<Held>),
    /// Another run has it: every task ends so.
    Taken(Outcome, String),
}

/// Takes a workflow's lock, as it says.
pub(crate) async fn take(
    shared: &Shared,
    lock: Option<&Lock>,
    cancel: &Cancel,
) -> anyhow::Result<Asked> {
    let Some(lock) = lock else {
        return Ok(Asked::Free(None));
    };
    let locks = Locks::beneath(&place::data_folder(shared)?);
    let name = lock.name.escaped();
    let mut told = false;
    loop {
        let held = locks
            .take(lock.name.raw())
            .with_context(|| format!("failed to take the lock `{name}`"))?;
        if held.is_some() {
            return Ok(Asked::Free(held));
        }
        let message = format!("another run holds the lock `{name}`");
        match lock.wait {
            Wait::Skip => return Ok(Asked::Taken(Outcome::Skipped, message)),
            Wait::Fail => return Ok(Asked::Taken(Outcome::Failed, message)),
            Wait::Queue if cancel.is_given() => {
                return Ok(Asked::Taken(Outcome::Cancelled, message));
            }
            Wait::Queue => {}
        }
        if !std::mem::replace(&mut told, true) {
            render::note(&format!("{message}; this run waits for its end"));
        }
        tokio::time::sleep(AGAIN).await;
    }
}
