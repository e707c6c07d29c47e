//! Runs as operators have them: submitted, watched, taken up again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use prost::Message;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};
use sloth_workflow::placement::{Allowed, LOCAL, Placement};
use sloth_workflow::value::base16;
use sloth_workflow::{Selector, Untrusted, Workflow, cbor};
use tokio::sync::mpsc;
use tonic::Status;

use super::session::{digits, keeping};
use super::unbroken::unbroken;
use crate::master::Core;
use crate::master::access::caller::Caller;
use crate::master::scheduling::course::Since;
use crate::master::scheduling::request::{self, Request, Wanted};
use crate::store::master::{Detail, Error, Filter, RunState, Submission, Within};
use crate::wire;
use crate::wire::generated::{
    ListRunsRequest, Record, ResumeRequest, RunInfo, SubmitRequest, SubmitResponse, WatchRequest,
};

/// Events that are read from the store at once.
const PAGE: usize = 512;
/// Most bytes of runs in one answer: of those with thousands of targets fewer are listed.
const ANSWER: usize = 8 << 20;
impl Core {
    /// Keeps a run for good, and begins it.
    pub(crate) async fn submit(
        self: &Arc<Self>,
        caller: &Caller,
        wanted: SubmitRequest,
    ) -> Result<SubmitResponse, Status> {
        let content = digits(wanted.bundle.clone())?;
        let (bundle, apart) = self.bundle(caller, &content).await?;
        let workflow = request::workflow(&wanted.plan, &bundle.name, &wanted.workflow)
            .map_err(|error| Status::invalid_argument(format!("the plan: {error}")))?;
        let placement = self.place(caller, &workflow, &wanted).await?;
        let pipelines = placement
            .pipelines(&workflow)
            .map_err(|refusal| Status::invalid_argument(refusal.to_string()))?;
        let reached = request::reached(&pipelines)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let asked = Request {
            file: bundle.name.clone(),
            placement: serde_json::to_value(placement.to_value())
                .map_err(|error| Status::internal(error.to_string()))?,
            diff: wanted.diff,
            only: wanted.only,
            skip: wanted.skip,
            queue_timeout: wanted.queue_timeout_s.into(),
            after: None,
            values: base16(&Sha256::digest(cbor::encode(&bundle.values))),
        };
        let submission = Submission {
            id: id()?,
            idempotency_key: Some(wanted.idempotency_key).filter(|key| !key.is_empty()),
            submitter: caller.name.clone(),
            submitted: SystemTime::now(),
            stack: wanted.stack,
            workflow: wanted.workflow,
            bundle: bundle.digest(),
            content: Some(content),
            apart,
            plan: wanted.plan,
            request: asked.encoded(),
            targets: placement.pipelines,
            reached,
            check: wanted.check,
        };
        let (key, asked) = (submission.idempotency_key.clone(), asked);
        let answer = self.begin(submission).await?;
        if answer.known
            && let Some(run) = &answer.run
        {
            let before = self.store.detail(&run.id).await.map_err(keeping)?;
            let before: Request = serde_json::from_slice(&before.request).unwrap_or_default();
            if !asked.is_same(&before) {
                return Err(Status::already_exists(format!(
                    "the idempotency key `{}` was given before with other values, tasks or targets, to run {}",
                    Untrusted::new(key.unwrap_or_default()).escaped(),
                    run.id
                )));
            }
        }
        Ok(answer)
    }

    async fn begin(self: &Arc<Self>, submission: Submission) -> Result<SubmitResponse, Status> {
        let core = Arc::clone(self);
        unbroken(async move {
            let submitted = core.store.submit(submission).await.map_err(keeping)?;
            let run = &submitted.run;
            if !submitted.known {
                core.take_up(&run.id, Since::Now);
            } else if !run.state.has_ended() {
                // If nobody is at it: it could not go on before.
                let since = Since::Before {
                    begun: run.state == RunState::Running,
                    cancelling: run.cancelling,
                };
                core.take_up(&run.id, since);
            }
            Ok(SubmitResponse {
                known: submitted.known,
                run: Some(wire::run::sent(submitted.run)),
            })
        })
        .await
    }

    /// Runs again what did not succeed. What did answers from the earlier run.
    pub(crate) async fn resume(
        self: &Arc<Self>,
        caller: &Caller,
        wanted: ResumeRequest,
    ) -> Result<SubmitResponse, Status> {
        self.sees(caller, &wanted.run).await?;
        let detail = self.store.detail(&wanted.run).await.map_err(keeping)?;
        let run = detail.run.clone();
        if !run.state.has_ended() {
            return Err(Status::failed_precondition(format!(
                "run {0} has not ended; see sloth-runner runs show {0}",
                run.id
            )));
        }
        let mut asked: Request = serde_json::from_slice(&detail.request)
            .map_err(|error| Status::internal(format!("what was asked cannot be read: {error}")))?;
        asked.after = Some(run.id.clone());
        let mut targets = run.targets.clone();
        if wanted.failed_targets {
            let steps = self.store.steps(&run.id).await.map_err(keeping)?;
            let failed: BTreeSet<String> = steps
                .into_iter()
                .filter(|step| step.outcome.is_none_or(|outcome| !outcome.succeeded()))
                .map(|step| step.target)
                .collect();
            targets.retain(|target| failed.contains(target));
        }
        if targets.is_empty() {
            return Err(Status::failed_precondition(format!(
                "run {} succeeded on every target",
                run.id
            )));
        }
        let reached = self.may_reach(caller, &detail, &targets).await?;
        let apart = match &detail.content {
            Some(content) => self.apart(content).await?,
            None => Vec::new(),
        };
        let submission = Submission {
            id: id()?,
            idempotency_key: None,
            submitter: caller.name.clone(),
            submitted: SystemTime::now(),
            stack: run.stack,
            workflow: run.workflow,
            bundle: run.bundle,
            content: detail.content,
            apart,
            plan: detail.plan,
            request: asked.encoded(),
            targets,
            reached,
            check: run.check,
        };
        self.begin(submission).await
    }

    /// Where a run has steps, if a caller may have them there: he may not have been who submitted it, and what he may
    /// reach can have become less.
    async fn may_reach(
        &self,
        caller: &Caller,
        detail: &Detail,
        targets: &[String],
    ) -> Result<Vec<String>, Status> {
        let mut detail = detail.clone();
        detail.run.targets = targets.to_vec();
        let id = detail.run.id.clone();
        let wanted = Wanted::of(detail).map_err(Status::failed_precondition)?;
        let agents = self.reachable(caller).await?;
        for target in wanted.targets() {
            if target == LOCAL {
                return Err(Status::failed_precondition(format!(
                    "run {id} has steps on the machine that it was submitted from, which takes nothing but what is \
                     submitted there; run the workflow anew with sloth-runner run"
                )));
            }
            if !caller.scope.is_empty() && !agents.iter().any(|agent| agent.name == target) {
                return Err(Status::permission_denied(format!(
                    "{} may not reach {target}, where run {id} has steps",
                    caller.name
                )));
            }
        }
        Ok(wanted.targets().into_iter().map(str::to_owned).collect())
    }

    /// Sends a run's events as they come, until it ends.
    pub(crate) async fn watch(
        &self,
        wanted: WatchRequest,
        answers: &mpsc::Sender<Result<Record, Status>>,
    ) -> Result<(), Status> {
        let mut after = wanted.after;
        let mut news = self.store.watch(&wanted.run);
        loop {
            news.borrow_and_update();
            // A run that has ended has all its events.
            let over = loop {
                let page = self.store.page(&wanted.run, after, PAGE).await;
                let (page, ended) = page.map_err(keeping)?;
                let Some(last) = page.last() else {
                    break wanted.stop || ended;
                };
                after = last.number;
                for kept in page {
                    let record = wire::record::numbered(&kept.body, kept.number)
                        .map_err(|error| Status::data_loss(error.to_string()))?;
                    if answers.send(Ok(record)).await.is_err() {
                        return Ok(());
                    }
                }
            };
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

    /// Whether a run is there for a caller: one with a scope has to do with those that he submitted, and with those
    /// that are on agents within his scope alone.
    pub(crate) async fn sees(&self, caller: &Caller, run: &str) -> Result<(), Status> {
        if caller.scope.is_empty() {
            return Ok(());
        }
        let found = self.store.run(run).await.map_err(keeping)?;
        if found.submitter == caller.name || self.is_within(caller, run).await? {
            return Ok(());
        }
        Err(keeping(Error::NoRun(run.into())))
    }

    async fn is_within(&self, caller: &Caller, run: &str) -> Result<bool, Status> {
        let wanted = request::wanted(&self.store, run).await.map_err(keeping)?;
        let Ok(wanted) = wanted else { return Ok(false) };
        let agents = self.reachable(caller).await?;
        Ok(wanted
            .targets()
            .into_iter()
            .all(|target| agents.iter().any(|agent| agent.name == target)))
    }

    /// Which runs a caller sees; all where there is nothing.
    async fn within(&self, caller: &Caller) -> Result<Option<Within>, Status> {
        if caller.scope.is_empty() {
            return Ok(None);
        }
        let agents = self.reachable(caller).await?;
        Ok(Some(Within {
            submitter: caller.name.clone(),
            agents: agents.into_iter().map(|agent| agent.name).collect(),
        }))
    }

    /// The latest runs that a caller sees.
    pub(crate) async fn runs(
        &self,
        caller: &Caller,
        wanted: ListRunsRequest,
    ) -> Result<Vec<RunInfo>, Status> {
        let filter = Filter {
            limit: wanted.limit as usize,
            state: wire::run::state(wanted.state()),
            stack: Some(wanted.stack).filter(|stack| !stack.is_empty()),
            target: Some(wanted.target).filter(|target| !target.is_empty()),
            within: self.within(caller).await?,
        };
        let found = self.store.runs(filter).await.map_err(keeping)?;
        let mut runs = Vec::new();
        let mut size = 0;
        for run in found {
            let run = wire::run::sent(run);
            size += run.encoded_len();
            if size > ANSWER && !runs.is_empty() {
                break;
            }
            runs.push(run);
        }
        Ok(runs)
    }

    /// Which step runs where, within what the submitter allows and may reach.
    async fn place(
        &self,
        caller: &Caller,
        workflow: &Workflow,
        wanted: &SubmitRequest,
    ) -> Result<Placement, Status> {
        let selector = Some(wanted.allowed.as_str()).filter(|text| !text.is_empty());
        let selector = selector
            .map(Selector::parse)
            .transpose()
            .map_err(|error| Status::invalid_argument(format!("--targets: {error}")))?;
        let allowed = Allowed {
            names: wanted.targets.clone(),
            selector,
            local: wanted.allow_local,
            limit: wanted.limit as usize,
        };
        let agents = self.reachable(caller).await?;
        Placement::choose(workflow, &allowed, &agents).map_err(|refusal| {
            if refusal.is_unknown() {
                Status::not_found(refusal.to_string())
            } else {
                Status::invalid_argument(refusal.to_string())
            }
        })
    }
}

/// Sixteen hexadecimal digits that no other run has.
fn id() -> Result<String, Status> {
    let mut random = [0; 8];
    getrandom(&mut random, GetRandomFlags::empty())
        .map_err(|error| Status::internal(format!("failed to draw a run's id: {error}")))?;
    Ok(format!("{:016x}", u64::from_le_bytes(random)))
}
