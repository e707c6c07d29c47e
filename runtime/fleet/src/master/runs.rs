//! Runs as operators have them: submitted, watched, taken up again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prost_types::Timestamp;
use sloth_workflow::{Outcome, Plan, Workflow};
use tokio::sync::mpsc;
use tonic::Status;

use super::doors::Caller;
use super::session::keeping;
use super::{Core, LOCAL};
use crate::store::master::{NewRun, RunFilter, RunRow};
use crate::wire::generated::{
    ListRunsRequest, Record, ResumeRequest, RunInfo, SubmitRequest, SubmitResponse, WatchRequest,
};

/// Events that are read from the store at once.
const PAGE: u32 = 512;
/// Runs that are listed at once, at most, and if nobody says how many.
const MOST: u32 = 1000;
const USUAL: u32 = 50;

impl Core {
    /// Keeps a run for good, and begins it.
    pub(super) async fn submit(
        self: &Arc<Self>,
        caller: &Caller,
        wanted: SubmitRequest,
    ) -> Result<SubmitResponse, Status> {
        let bundle = self.bundle(&wanted.bundle).await?;
        let workflow = planned(&wanted, &bundle.name)?;
        self.look_at_targets(caller, &workflow, &wanted).await?;
        let new = NewRun {
            stack: wanted.stack,
            workflow: wanted.workflow,
            file: bundle.name.clone(),
            digest: bundle.digest(),
            bundle: wanted.bundle,
            plan: wanted.plan,
            targets: wanted.targets,
            limit: wanted.limit,
            check: wanted.check,
            diff: wanted.diff,
            only: wanted.only,
            skip: wanted.skip,
            queue_timeout: (wanted.queue_timeout_s > 0)
                .then(|| Duration::from_secs(wanted.queue_timeout_s.into())),
            submitter: caller.name.clone(),
            idempotency_key: (!wanted.idempotency_key.is_empty())
                .then_some(wanted.idempotency_key),
            after: None,
        };
        self.begin(new).await
    }

    async fn begin(self: &Arc<Self>, new: NewRun) -> Result<SubmitResponse, Status> {
        let submitted = self.store.submit(new).await.map_err(keeping)?;
        if !submitted.known {
            self.take_up(submitted.run.clone());
        }
        Ok(SubmitResponse {
            known: submitted.known,
            run: Some(submitted.run.into()),
        })
    }

    /// Runs again what did not succeed. What did answers from the earlier run.
    pub(super) async fn resume(
        self: &Arc<Self>,
        caller: &Caller,
        wanted: ResumeRequest,
    ) -> Result<SubmitResponse, Status> {
        let run = self.seen_by(caller, &wanted.run).await?;
        if run.finished.is_none() {
            return Err(Status::failed_precondition(format!(
                "run {} has not ended; see sloth-runner runs show {}",
                run.id, run.id
            )));
        }
        let steps = self.store.steps(&run.id).await.map_err(keeping)?;
        let targets: Vec<String> = if wanted.failed_targets {
            let failed: BTreeSet<_> = steps
                .iter()
                .filter(|step| step.outcome.is_none_or(|outcome| !outcome.succeeded()))
                .map(|step| step.target.clone())
                .collect();
            run.targets
                .iter()
                .filter(|target| failed.contains(*target))
                .cloned()
                .collect()
        } else {
            run.targets.clone()
        };
        if targets.is_empty() {
            return Err(Status::failed_precondition(format!(
                "run {} succeeded on every target",
                run.id
            )));
        }
        let new = NewRun {
            stack: run.stack,
            workflow: run.workflow,
            file: run.file,
            digest: run.digest,
            bundle: run.bundle,
            plan: run.plan,
            targets,
            limit: run.limit,
            check: run.check,
            diff: run.diff,
            only: run.only,
            skip: run.skip,
            queue_timeout: run.queue_timeout,
            submitter: caller.name.clone(),
            idempotency_key: None,
            after: Some(run.id),
        };
        self.begin(new).await
    }

    /// Sends a run's events as they come, until it ends.
    pub(super) async fn watch(
        &self,
        wanted: WatchRequest,
        answers: &mpsc::Sender<Result<Record, Status>>,
    ) -> Result<(), Status> {
        let mut after = wanted.after;
        let mut news = self.store.watch(&wanted.run);
        loop {
            news.borrow_and_update();
            // Looked at before the events: a run that has ended has them all.
            let over = wanted.stop
                || self
                    .store
                    .run(&wanted.run)
                    .await
                    .map_err(keeping)?
                    .is_none_or(|run| run.finished.is_some());
            loop {
                let page = self.store.events(&wanted.run, after, PAGE).await.map_err(keeping)?;
                let Some(last) = page.last() else { break };
                after = last.number;
                for record in page {
                    if answers.send(Ok(record)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            if over {
                return Ok(());
            }
            tokio::select! {
                changed = news.changed() => {
                    if changed.is_err() {
                        return Err(Status::unavailable("the master is shutting down"));
                    }
                }
                () = answers.closed() => return Ok(()),
            }
        }
    }

    /// The latest runs that the caller may see.
    pub(super) async fn runs(
        &self,
        caller: &Caller,
        wanted: ListRunsRequest,
    ) -> Result<Vec<RunInfo>, Status> {
        let filter = RunFilter {
            limit: match wanted.limit {
                0 => USUAL,
                limit => limit.min(MOST),
            },
            stack: (!wanted.stack.is_empty()).then_some(wanted.stack.clone()),
            state: wanted.state().try_into().ok(),
            target: (!wanted.target.is_empty()).then_some(wanted.target),
        };
        let runs = self.store.runs(filter).await.map_err(keeping)?;
        let mut seen = Vec::with_capacity(runs.len());
        for run in runs {
            if self.may_see(caller, &run).await? {
                seen.push(run.into());
            }
        }
        Ok(seen)
    }

    /// The run, if the caller may see it. What he may not see is not there.
    pub(super) async fn seen_by(&self, caller: &Caller, run: &str) -> Result<RunRow, Status> {
        if let Some(found) = self.store.run(run).await.map_err(keeping)?
            && self.may_see(caller, &found).await?
        {
            return Ok(found);
        }
        Err(Status::not_found(format!(
            "there is no run `{run}`; see sloth-runner runs list"
        )))
    }

    async fn may_see(&self, caller: &Caller, run: &RunRow) -> Result<bool, Status> {
        if caller.scope.is_everything() || run.submitter == caller.name {
            return Ok(true);
        }
        for target in &run.targets {
            if target == LOCAL || !self.reaches(caller, target).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether every target is known, and within the caller's scope.
    async fn look_at_targets(
        &self,
        caller: &Caller,
        workflow: &Workflow,
        wanted: &SubmitRequest,
    ) -> Result<(), Status> {
        if wanted.targets.is_empty() {
            return Err(Status::invalid_argument("the run has no target"));
        }
        let named = workflow.tasks.iter().filter_map(|task| task.target.as_deref());
        let all: BTreeSet<&str> = wanted.targets.iter().map(String::as_str).chain(named).collect();
        let mut unknown = Vec::new();
        for target in all {
            if target != LOCAL && !self.reaches(caller, target).await? {
                unknown.push(format!("`{target}`"));
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Status::not_found(format!(
            "there is no agent {}; see sloth-runner agent list",
            unknown.join(", ")
        )))
    }
}

/// The workflow that is to run, out of the plan that came with it.
fn planned(wanted: &SubmitRequest, file: &str) -> Result<Workflow, Status> {
    let plan = Plan::from_cbor(&wanted.plan, file)
        .map_err(|error| Status::invalid_argument(format!("the plan: {error}")))?;
    plan.workflows
        .into_iter()
        .find(|workflow| workflow.name.raw() == wanted.workflow)
        .ok_or_else(|| {
            Status::invalid_argument(format!("the plan has no workflow `{}`", wanted.workflow))
        })
}
