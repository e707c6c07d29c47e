//! Who knows about runs.

use std::time::Duration;

use anyhow::Context;
use sloth_fleet::store::history;
use sloth_fleet::store::master::{Detail, Error, Filter, Run, Step, Store};
use sloth_workflow::Record;

use crate::command::Shared;
use crate::place;

/// Most events that are asked for at once.
const EVENTS: usize = 500;

/// How long one who follows waits before looking again: another process writes, and tells nobody.
const AGAIN: Duration = Duration::from_millis(200);

/// Who knows about runs.
pub(super) enum Source {
    /// Nothing was ever written down here.
    Nobody,
    /// The history of this machine.
    Local(Store),
}

impl Source {
    /// This machine's history, if there is one; it is not made for being looked at.
    pub(super) fn local(shared: &Shared) -> anyhow::Result<Result<Self, Error>> {
        let data = place::data_folder(shared)?;
        if !Store::has_history(&data) {
            return Ok(Ok(Self::Nobody));
        }
        Ok(Store::history(&data).map(Self::Local))
    }

    pub(super) async fn runs(&self, filter: Filter) -> anyhow::Result<Vec<Run>> {
        let Self::Local(store) = self else {
            return Ok(Vec::new());
        };
        history::settle(store).await?;
        Ok(store.runs(filter).await?)
    }

    pub(super) async fn run(&self, id: &str) -> anyhow::Result<Run> {
        let store = self.store(id)?;
        history::settle(store).await?;
        Ok(store.run(id).await?)
    }

    pub(super) async fn detail(&self, id: &str) -> anyhow::Result<(Detail, Vec<Step>)> {
        let store = self.store(id)?;
        history::settle(store).await?;
        Ok((store.detail(id).await?, store.steps(id).await?))
    }

    /// Some events after a number.
    pub(super) async fn events(&self, id: &str, after: u64) -> anyhow::Result<Vec<Record>> {
        let events = self.store(id)?.events(id, after, EVENTS).await?;
        events
            .iter()
            .map(|event| event.record())
            .collect::<Result<_, _>>()
            .context("failed to read an event of the run; was it written by a later version?")
    }

    /// Waits until there may be something new.
    pub(super) async fn wait(&self) {
        tokio::time::sleep(AGAIN).await;
    }

    fn store(&self, id: &str) -> Result<&Store, Error> {
        match self {
            Self::Nobody => Err(Error::NoRun(id.into())),
            Self::Local(store) => Ok(store),
        }
    }
}
