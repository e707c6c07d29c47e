//! What was asked of a run, in the form that it is kept in.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sloth_workflow::placement::{Pipeline, Placement};
use sloth_workflow::plan::Lock;
use sloth_workflow::{Plan, Value, Workflow};

use crate::store::master::{Detail, Error, Store};

/// All of a submission that only the scheduler asks for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The file's name, for messages.
    pub(crate) file: String,
    /// Which step runs where, as it was settled when the run was submitted.
    pub(crate) placement: serde_json::Value,
    pub(crate) diff: bool,
    /// Indices of tasks.
    pub(crate) only: Vec<u32>,
    pub(crate) skip: Vec<u32>,
    /// Seconds; 0 is the master's own.
    pub(crate) queue_timeout: u64,
    /// The run whose successes this one goes on from.
    pub(crate) after: Option<String>,
    /// Digits of the digest of the values that the workflow was given.
    #[serde(default)]
    pub(crate) values: String,
}

impl Request {
    /// Whether the same was asked. Which agents a selector means may change in between.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let limit = |request: &Self| request.placement.get("limit").cloned();
        self.file == other.file
            && self.diff == other.diff
            && self.only == other.only
            && self.skip == other.skip
            && self.values == other.values
            && limit(self) == limit(other)
    }

    pub(crate) fn encoded(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }
}

/// A run with all that the scheduler needs of it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) id: String,
    pub(crate) stack: String,
    pub(crate) submitted: SystemTime,
    /// Digest of the workflow's files, as a policy's rule names it.
    pub(crate) digest: String,
    /// The content that the encoded bundle is, by its digits.
    pub(crate) content: String,
    pub(crate) check: bool,
    pub(crate) request: Request,
    /// How many of the pipelines are at work at once; 0 is no limit.
    pub(crate) limit: usize,
    pub(crate) pipelines: Vec<Pipeline>,
}

impl Wanted {
    pub(crate) fn of(detail: Detail) -> Result<Self, String> {
        let request: Request = serde_json::from_slice(&detail.request)
            .map_err(|error| format!("what was asked cannot be read: {error}"))?;
        let workflow = workflow(&detail.plan, &request.file, &detail.run.workflow)?;
        let mut placement = Placement::from_value(&Value::from(request.placement.clone()))
            .ok_or("where its steps run cannot be read")?;
        // One that was taken up again has fewer.
        placement.pipelines = detail.run.targets;
        let pipelines = placement
            .pipelines(&workflow)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            id: detail.run.id,
            stack: detail.run.stack,
            submitted: detail.run.submitted,
            digest: detail.run.bundle,
            content: detail.content.ok_or("it has no bundle")?,
            check: detail.run.check,
            request,
            limit: placement.limit,
            pipelines,
        })
    }

    /// The lock that its workflow names. In check mode nothing is changed that another run could be in the
    /// midst of changing.
    pub(crate) fn lock(&self) -> Option<&Lock> {
        let first = self.pipelines.first().filter(|_| !self.check)?;
        first.workflow.lock.as_ref()
    }

    /// Where it has steps.
    pub(crate) fn targets(&self) -> BTreeSet<&str> {
        reached(&self.pipelines)
    }

    /// How long a call waits for an agent that is not there.
    pub(crate) fn queue_timeout(&self, usual: Duration) -> Duration {
        match self.request.queue_timeout {
            0 => usual,
            seconds => Duration::from_secs(seconds),
        }
    }
}

/// Where pipelines have steps.
pub(crate) fn reached(pipelines: &[Pipeline]) -> BTreeSet<&str> {
    pipelines
        .iter()
        .flat_map(|Pipeline { target, workflow }| {
            let tasks = workflow.tasks.iter();
            let frame = (!workflow.hooks.is_empty()).then_some(target.as_str());
            tasks
                .map(move |task| task.target.as_deref().unwrap_or(target))
                .chain(frame)
        })
        .collect()
}

/// One of a plan's workflows.
pub(crate) fn workflow(plan: &[u8], file: &str, name: &str) -> Result<Workflow, String> {
    let plan = Plan::from_cbor(plan, file).map_err(|error| error.to_string())?;
    plan.workflows
        .into_iter()
        .find(|workflow| workflow.name.raw() == name)
        .ok_or_else(|| format!("the plan has no workflow `{name}`"))
}

/// Reads a run that is kept.
pub(crate) async fn wanted(store: &Store, run: &str) -> Result<Result<Wanted, String>, Error> {
    Ok(Wanted::of(store.detail(run).await?))
}
