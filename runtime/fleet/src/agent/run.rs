//! One run as the agent sees it: its own plan of the bundle, held against its own policy.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sloth_policy::{Grants, Ungranted};
use sloth_sandbox::{Foreseen, Seat, Session, Setup, Witness};
use sloth_workflow::{Bundle, Cancel, Executor, Outcome, Part, Step, Subject, Untrusted, Workflow};
use tokio::sync::OnceCell;

use super::agent::Shared;
use super::plans::Origin;
use super::policies::Held;
use super::report::Reporter;
use super::secrets::Handed;
use super::transfer::{self, Failed};
use crate::telemetry::Telemetry;
use crate::wire::assign::{Assignment, Terms};
use crate::wire::content::{self, Apart, MAX_BUNDLE};

/// Most seats of one run.
const MOST_SEATS: usize = 10_000;

/// A run that the agent takes part in.
pub(super) struct Run {
    id: String,
    pub(super) terms: Terms,
    pub(super) secrets: Arc<Handed>,
    prepared: OnceCell<Result<Arc<Prepared>, Refusal>>,
    seats: Mutex<BTreeMap<u64, Arc<Place>>>,
}

/// Why nothing of a run is done here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: String,
    /// Whether the policy is the reason.
    pub(super) denied: bool,
    /// Whether it may be done later.
    pub(super) later: bool,
}

/// A run whose steps can be called.
pub(super) struct Prepared {
    pub(super) session: Session,
    workflow: Workflow,
    /// Digests of the artifacts that the master has.
    pub(super) sent: Mutex<HashSet<String>>,
}

/// A seat by its number.
pub(super) struct Place {
    pub(super) subject: Subject,
    /// Calls of one seat follow each other.
    pub(super) seat: tokio::sync::Mutex<Option<Seat>>,
}

/// Does what would hold up a thread that others wait for.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|defect| Refusal::of(defect.to_string()))
}

impl Refusal {
    pub(super) fn of(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            denied: false,
            later: false,
        }
    }

    /// For now only.
    pub(super) fn for_now(reason: impl Into<String>) -> Self {
        Self {
            later: true,
            ..Self::of(reason)
        }
    }
}

impl Run {
    pub(super) fn new(id: &str, terms: Terms, secrets: Handed) -> Self {
        Self {
            id: id.to_owned(),
            terms,
            secrets: Arc::new(secrets),
            prepared: OnceCell::new(),
            seats: Mutex::default(),
        }
    }

    /// The run, ready for calls; what refuses it once refuses it for good. None when the cancel came first.
    pub(super) async fn prepared(
        &self,
        shared: &Shared,
        cancel: &Cancel,
    ) -> Option<Result<Arc<Prepared>, Refusal>> {
        let prepare = || async {
            match self.prepare(shared, cancel).await {
                Ok(prepared) => Ok(Ok(Arc::new(prepared))),
                Err(_) if cancel.is_given() => Err(()),
                Err(refusal) => Ok(Err(refusal)),
            }
        };
        tokio::select! {
            prepared = self.prepared.get_or_try_init(prepare) => prepared.ok().cloned(),
            // Somebody else may be at it.
            () = cancel.given() => None,
        }
    }

    async fn prepare(&self, shared: &Shared, cancel: &Cancel) -> Result<Prepared, Refusal> {
        let (bundle, signature) = self.bundle(shared, cancel).await?;
        let bundle = Arc::new(bundle);
        let held = shared.policies.held();
        let origin = Origin {
            bundle: self.terms.bundle.clone(),
            limits: held.policy.limits().clone(),
        };
        let make = held.sandbox.plan(&bundle, cancel.clone());
        let plan = shared.plans.of(origin, make).await.map_err(|failure| {
            Refusal::of(format!(
                "the agent cannot load the workflow: {}",
                failure.message.escaped()
            ))
        })?;
        let wanted = plan
            .workflows
            .iter()
            .find(|workflow| workflow.name.raw() == self.terms.workflow)
            .cloned();
        let workflow = wanted.ok_or_else(|| {
            let name = Untrusted::new(self.terms.workflow.as_str()).escaped();
            Refusal::of(format!("there is no workflow `{name}` in the bundle"))
        })?;
        let missing = missing(&held, &bundle, signature.as_deref(), &workflow, &self.terms);
        if !missing.is_empty() {
            for missing in &missing {
                let capability = missing.declared.split(' ').next();
                let telemetry = &shared.config.telemetry;
                telemetry.denied(capability.unwrap_or_default());
            }
            return Err(declined(missing));
        }
        let setup = self.setup(shared, &held, bundle, signature, workflow.clone());
        let secrets = Arc::clone(&self.secrets) as _;
        // It looks up what earlier runs left.
        let session =
            aside(move || Session::knowing(held.sandbox, setup, &Foreseen::default(), secrets))
                .await?;
        Ok(Prepared {
            session: session
                .map_err(|error| Refusal::of(format!("failed to begin the run: {error}")))?,
            workflow,
            sent: Mutex::default(),
        })
    }

    async fn bundle(
        &self,
        shared: &Shared,
        cancel: &Cancel,
    ) -> Result<(Bundle, Option<String>), Refusal> {
        let digest = &self.terms.bundle;
        let problem =
            |error: &dyn std::error::Error| Refusal::of(format!("the bundle {digest}: {error}"));
        let opened = self
            .content(shared, digest, MAX_BUNDLE, cancel, |bytes| {
                content::decode(&bytes)
            })
            .await?;
        let opened = opened.map_err(|error| problem(&error))?;
        let mut contents = BTreeMap::new();
        for Apart { digest, size } in opened.apart() {
            let content = self.content(shared, &digest, size, cancel, |bytes| bytes);
            let content = content.await?;
            contents.insert(digest, content);
        }
        let whole = if contents.is_empty() {
            opened.whole(&contents)
        } else {
            aside(move || opened.whole(&contents)).await?
        };
        whole.map_err(|error| problem(&error))
    }

    /// What is read of the bytes of a bundle or of a large file of it, which are sent for if they are not here.
    async fn content<T: Send + 'static>(
        &self,
        shared: &Shared,
        digest: &str,
        most: u64,
        cancel: &Cancel,
        read: fn(Vec<u8>) -> T,
    ) -> Result<T, Refusal> {
        for _ in 0..2 {
            let fetched = transfer::fetch(shared, &self.id, digest, most, cancel).await;
            fetched.map_err(|failed| {
                Refusal::of(match failed {
                    Failed::Cancelled => "cancelled".to_owned(),
                    Failed::For(reason) => {
                        format!("the bundle {digest} is not to be had: {reason}")
                    }
                })
            })?;
            let (contents, wanted) = (Arc::clone(&shared.contents), digest.to_owned());
            let content = aside(move || {
                let bytes = contents.read(&wanted, most)?;
                Ok::<_, std::io::Error>(bytes.map(read))
            });
            let content = content.await?;
            let content =
                content.map_err(|error| Refusal::of(format!("the bundle {digest}: {error}")))?;
            if let Some(content) = content {
                return Ok(content);
            }
            // It was damaged here, and is sent for again.
        }
        Err(Refusal::of(format!(
            "the bundle {digest} is damaged on the agent's disk"
        )))
    }

    fn setup(
        &self,
        shared: &Shared,
        held: &Held,
        bundle: Arc<Bundle>,
        signature: Option<String>,
        workflow: Workflow,
    ) -> Setup {
        let reporter = Reporter {
            journal: Arc::clone(&shared.journal),
            run: self.id.clone(),
            target: shared.config.name.clone(),
            telemetry: shared.config.telemetry.clone(),
        };
        Setup {
            bundle,
            stack: self.terms.stack.clone(),
            workflow,
            policy: held.policy.clone(),
            own_files: Vec::<PathBuf>::new(),
            check: self.terms.check,
            diff: self.terms.diff,
            workdir: None,
            sink: Arc::new(move |event| reporter.tell(event)),
            signature,
            witness: Witness {
                run: self.id.clone(),
                audit: Some(Arc::clone(&shared.config.audit)),
                learner: None,
            },
        }
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Place>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a seat's number, made with its first call.
    pub(super) fn place(&self, number: u64, subject: Subject) -> Result<Arc<Place>, Refusal> {
        let mut seats = self.seats();
        if seats.len() >= MOST_SEATS && !seats.contains_key(&number) {
            return Err(Refusal::of(format!(
                "the run has {MOST_SEATS} seats on this agent, and none was closed"
            )));
        }
        let place = seats.entry(number).or_insert_with(|| {
            Arc::new(Place {
                subject,
                seat: tokio::sync::Mutex::new(None),
            })
        });
        if place.subject != subject {
            return Err(Refusal::of("its seat belongs to another task"));
        }
        Ok(Arc::clone(place))
    }

    /// Gives a seat back, once the call that sits in it has ended.
    pub(super) fn close(&self, number: u64) {
        self.seats().remove(&number);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seats().is_empty()
    }
}

impl Prepared {
    /// Whether an assignment fits the agent's own plan.
    pub(super) fn fits(&self, assigned: &Assignment) -> Result<(), Refusal> {
        let part = assigned.step.part;
        let (name, has) = match assigned.step.subject {
            Subject::Workflow => (None, self.workflow.hooks.contains(part)),
            Subject::Task(index) => {
                let tasks = &self.workflow.tasks;
                let task = tasks.get(index).ok_or_else(|| {
                    let count = tasks.len();
                    Refusal::of(format!(
                        "the workflow has {count} tasks, and none of index {index}"
                    ))
                })?;
                let has = match part {
                    Part::Command => true,
                    Part::RunIf => task.run_if.is_some(),
                    Part::AbortIf => task.abort_if.is_some(),
                    hook => task.hooks.contains(hook),
                };
                (Some(&task.name), has)
            }
        };
        if let Some(name) = name
            && name.raw() != assigned.name
        {
            let given = Untrusted::new(assigned.name.as_str()).escaped();
            return Err(Refusal::of(format!(
                "the task of that index is `{}`, not `{given}`",
                name.escaped()
            )));
        }
        if !has {
            return Err(Refusal::of(format!("there is no {} there", part.key())));
        }
        Ok(())
    }

    /// Counts a call that ended, if it was a task's own.
    pub(super) fn count(
        &self,
        telemetry: &Telemetry,
        step: &Step,
        outcome: Outcome,
        took: Duration,
    ) {
        if let (Subject::Task(index), Part::Command) = (step.subject, step.part)
            && let Some(task) = self.workflow.tasks.get(index)
        {
            telemetry.task(&self.workflow.name, &task.name, outcome, took);
        }
    }

    pub(super) fn seat(&self, assigned: &Assignment) -> Seat {
        let artifacts = assigned.artifacts.clone();
        self.session.seat(assigned.step.subject, artifacts)
    }
}

/// Holds all that is declared against the policy, before anything of the run is done.
fn missing(
    held: &Held,
    bundle: &Bundle,
    signature: Option<&str>,
    workflow: &Workflow,
    terms: &Terms,
) -> Vec<Ungranted> {
    let tasks = workflow.tasks.iter();
    let declared = workflow
        .capabilities
        .iter()
        .chain(tasks.filter_map(|task| task.capabilities.as_ref()))
        .cloned()
        .fold(Grants::nothing(), Grants::merge);
    let policy = &held.policy;
    let identity = sloth_sandbox::identity(policy, bundle, signature, workflow, &terms.stack);
    policy.ungranted(&declared, &identity)
}

fn declined(missing: Vec<Ungranted>) -> Refusal {
    let lines: Vec<String> = missing
        .into_iter()
        .map(|missing| {
            let declared = Untrusted::new(missing.declared).escaped();
            format!("{declared}; to allow it: {}", missing.remedy)
        })
        .collect();
    Refusal {
        reason: format!(
            "the workflow declares what the agent's policy does not grant:\n{}",
            lines.join("\n")
        ),
        denied: true,
        later: false,
    }
}
