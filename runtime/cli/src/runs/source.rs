//! Who knows about runs.

use std::time::Duration;

use anyhow::Context;
use sloth_fleet::store::history;
use sloth_fleet::store::master::{Detail, Error, Filter, Kept, Run, Step, Store};
use sloth_fleet::wire::client::{self, Fleet, problem};
use sloth_fleet::wire::generated::{GetRunRequest, ListRunsRequest, WatchRequest};
use sloth_fleet::wire::run;
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
    Master(Fleet),
}

impl Source {
    /// The master that is named, else this machine's history.
    pub(super) async fn of(shared: &Shared) -> anyhow::Result<Self> {
        match shared.way.master {
            Some(_) => Self::master(shared).await,
            None => Ok(Self::local(shared)??),
        }
    }

    /// This machine's history, if there is one; it is not made for being looked at.
    pub(super) fn local(shared: &Shared) -> anyhow::Result<Result<Self, Error>> {
        let data = place::data_folder(shared)?;
        if !Store::has_history(&data) {
            return Ok(Ok(Self::Nobody));
        }
        Ok(Store::history(&data).map(Self::Local))
    }

    /// A master.
    pub(super) async fn master(shared: &Shared) -> anyhow::Result<Self> {
        Ok(Self::Master(
            client::connect(&place::client(shared)?).await?,
        ))
    }

    pub(super) async fn runs(&self, filter: Filter) -> anyhow::Result<Vec<Run>> {
        if let Self::Master(fleet) = self {
            let request = ListRunsRequest {
                limit: u32::try_from(filter.limit).unwrap_or(u32::MAX),
                stack: filter.stack.unwrap_or_default(),
                state: filter
                    .state
                    .map_or(0, |state| run::state_sent(state).into()),
                target: filter.target.unwrap_or_default(),
            };
            let answer = fleet.clone().list_runs(request).await.map_err(problem)?;
            let runs = answer.into_inner().runs.into_iter().map(run::read);
            return Ok(runs.collect::<Result<_, _>>()?);
        }
        let Self::Local(store) = self else {
            return Ok(Vec::new());
        };
        history::settle(store).await?;
        Ok(store.runs(filter).await?)
    }

    pub(super) async fn run(&self, id: &str) -> anyhow::Result<Run> {
        if let Self::Master(_) = self {
            return Ok(self.detail(id).await?.0.run);
        }
        let store = self.store(id)?;
        history::settle(store).await?;
        Ok(store.run(id).await?)
    }

    pub(super) async fn detail(&self, id: &str) -> anyhow::Result<(Detail, Vec<Step>)> {
        if let Self::Master(fleet) = self {
            let request = GetRunRequest { run: id.to_owned() };
            let answer = fleet.clone().get_run(request).await.map_err(problem)?;
            return Ok(run::read_detail(answer.into_inner())?);
        }
        let store = self.store(id)?;
        history::settle(store).await?;
        Ok((store.detail(id).await?, store.steps(id).await?))
    }

    /// Some events after a number.
    pub(super) async fn events(&self, id: &str, after: u64) -> anyhow::Result<Vec<Record>> {
        if let Self::Master(fleet) = self {
            let request = WatchRequest {
                run: id.to_owned(),
                after,
                stop: true,
            };
            let answer = fleet.clone().watch(request).await.map_err(problem)?;
            let mut stream = answer.into_inner();
            let mut records = Vec::new();
            while records.len() < EVENTS
                && let Some(record) = stream.message().await.map_err(problem)?
            {
                records.push(record.try_into()?);
            }
            return Ok(records);
        }
        let events = self.store(id)?.events(id, after, EVENTS).await?;
        events
            .iter()
            .map(Kept::record)
            .collect::<Result<_, _>>()
            .context("failed to read an event of the run; was it written by a later version?")
    }

    /// Waits until there may be something new.
    pub(super) async fn wait(&self) {
        tokio::time::sleep(AGAIN).await;
    }

    fn store(&self, id: &str) -> Result<&Store, Error> {
        match self {
            Self::Nobody | Self::Master(_) => Err(Error::NoRun(id.into())),
            Self::Local(store) => Ok(store),
        }
    }
}
