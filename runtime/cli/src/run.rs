//! `run`: a workflow on this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sloth_policy::Policy;
use sloth_sandbox::ports::audit::Audit;
use sloth_sandbox::{Foreseen, Learner, Node, Sandbox, Session, Setup, Witness};
use sloth_workflow::scheduler::{Selection, cancel};
use sloth_workflow::{
    Allowed, Bundle, Cancel, Clock, Event, Outcome, Placement, Run, Untrusted, Workflow,
};

use crate::command::{RunOptions, Shared};
use crate::exit::Exit;
use crate::render::{Events, Paint};
use crate::telling::Telling;
use crate::{audit, confirm, input, lock, place, plan, render, secret, telling};

pub(crate) fn run(shared: &Shared, options: Box<RunOptions>) -> anyhow::Result<Exit> {
    let bundle = input::bundle(&options.file, &options.values, &options.vars)?;
    let (policy, policy_file) = input::policy(options.policy.as_deref())?;
    let mut node = node(shared, policy_file.as_deref(), &options.file)?;
    secret::open(shared, options.key_file.as_deref(), &mut node)?;
    let signature = input::signature(&options.file)?;
    let learner = learner(&options)?;
    let audit: Arc<dyn Audit> = Arc::new(audit::open(shared)?);
    let recorder = telling::recorder(shared, &options)?;
    plan::runtime()?.block_on(async {
        let (canceller, cancel) = cancel::pair();
        plan::cancel_on_signals(canceller);
        let sandbox = Arc::new(plan::sandbox(node, policy.limits())?);
        let (bundle, plan) = plan::load(&sandbox, bundle, &options.file, cancel.clone()).await?;
        let workflows = wanted(&plan.workflows, options.workflow.as_deref())?;
        let placed = workflows
            .iter()
            .map(|workflow| place_here(workflow))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let selections = workflows
            .iter()
            .map(|workflow| selection(workflow, &workflows, &options))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let Some(policy) = granted(policy, &workflows, &options)? else {
            render::note("nothing was run");
            return Ok(Exit::Cancelled);
        };
        if learner.is_none()
            && !all_granted(&policy, &workflows, &bundle, signature.as_deref(), &options)
        {
            return Ok(Exit::Denied);
        }
        let parallel = workflows
            .iter()
            .any(|workflow| workflow.max_parallel_tasks > 1);
        let events = Events::print(shared.output, Paint::for_stdout(shared.color), parallel, 1);
        let telling = Telling::to(events, recorder);
        let mut exit = Exit::Succeeded;
        let foreseen = Foreseen::default();
        for (workflow, selection) in placed.iter().zip(&selections) {
            let started = Started {
                shared,
                sandbox: &sandbox,
                bundle: &bundle,
                policy: &policy,
                signature: signature.as_deref(),
                witness: Witness {
                    run: run_id()?,
                    audit: Some(Arc::clone(&audit)),
                    learner: learner.clone(),
                },
            };
            let ended = started
                .run(workflow, selection, &options, &telling, &cancel, &foreseen)
                .await?;
            exit = exit.and(ended);
            if exit == Exit::Cancelled {
                break;
            }
        }
        telling.finish();
        if let (Some(learner), Some(file)) = (&learner, &options.learn) {
            input::write_new(file, &learner.policy())?;
            render::note(&format!(
                "what was tried is in {}; read it before you grant it",
                file.display()
            ));
        }
        Ok(exit)
    })
}

/// Collects what is tried, if that is asked for.
fn learner(options: &RunOptions) -> anyhow::Result<Option<Arc<Learner>>> {
    let Some(file) = &options.learn else {
        return Ok(None);
    };
    // Said before the run and not after it.
    if input::is_there(file) {
        bail!(
            "{} is there already; name a new file for what is learned",
            file.display()
        );
    }
    Ok(Some(Arc::new(Learner::new(options.learn_observe))))
}

/// Whether every declared capability is granted in part at least. Says which are not, all at once.
fn all_granted(
    policy: &Policy,
    workflows: &[&Workflow],
    bundle: &Arc<Bundle>,
    signature: Option<&str>,
    options: &RunOptions,
) -> bool {
    let mut lines = Vec::new();
    for workflow in workflows {
        let identity = sloth_sandbox::identity(policy, bundle, signature, workflow, &options.stack);
        for missing in policy.ungranted(&confirm::declared(&[workflow]), &identity) {
            let declared = Untrusted::new(missing.declared.as_str()).escaped();
            let line = format!("  {declared}; to allow it: {}", missing.remedy);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    if lines.is_empty() {
        return true;
    }
    render::note(&format!(
        "error: the workflow declares what is not granted; nothing was run:\n{}",
        lines.join("\n")
    ));
    false
}

/// This machine, with the program's own files out of every workflow's reach.
pub(crate) fn node(
    shared: &Shared,
    policy: Option<&Path>,
    workflow: &Path,
) -> anyhow::Result<Node> {
    let mut node = plan::node(shared)?;
    // A workflow that could change its own file or the policy would decide what it may do next.
    for file in [policy, Some(workflow)].into_iter().flatten() {
        node.protected.push(std::path::absolute(file)?);
    }
    node.protected.extend(place::own_policy());
    Ok(node)
}

pub(crate) fn wanted<'a>(
    workflows: &'a [Workflow],
    name: Option<&str>,
) -> anyhow::Result<Vec<&'a Workflow>> {
    let Some(name) = name else {
        return Ok(workflows.iter().collect());
    };
    if let Some(workflow) = workflows
        .iter()
        .find(|workflow| workflow.name.raw() == name)
    {
        Ok(vec![workflow])
    } else {
        let names: Vec<_> = workflows
            .iter()
            .map(|workflow| workflow.name.escaped())
            .collect();
        bail!(
            "there is no workflow `{name}` in the file; it defines {}",
            names.join(", ")
        );
    }
}

pub(crate) fn selection(
    workflow: &Workflow,
    all: &[&Workflow],
    options: &RunOptions,
) -> anyhow::Result<Selection> {
    let find = |names: &[String]| -> anyhow::Result<BTreeSet<usize>> {
        let mut found = BTreeSet::new();
        for name in names {
            match workflow
                .tasks
                .iter()
                .position(|task| task.name.raw() == *name)
            {
                Some(index) => drop(found.insert(index)),
                None if all
                    .iter()
                    .any(|w| w.tasks.iter().any(|t| t.name.raw() == *name)) => {}
                None => bail!("there is no task `{name}`; see sloth-runner plan"),
            }
        }
        Ok(found)
    };
    let only = find(&options.tasks)?;
    let mut skip = find(&options.skips)?;
    if only.is_empty() && !options.tasks.is_empty() {
        // The wanted tasks are in another workflow of the file.
        skip.extend(0..workflow.tasks.len());
    }
    Ok(Selection { only, skip })
}

/// The policy of this run, with what was declared if that is granted; none when the answer was no.
fn granted(
    policy: Policy,
    workflows: &[&Workflow],
    options: &RunOptions,
) -> anyhow::Result<Option<Policy>> {
    let declared = confirm::declared(workflows);
    if options.grant_declared {
        confirm::refuse_account(&declared)?;
        return Ok(Some(policy.granting(declared)));
    }
    // Check mode changes nothing, so there is nothing to agree to.
    if options.yes || options.check {
        return Ok(Some(policy));
    }
    Ok(confirm::ask(workflows, &declared)?.then(|| policy.granting(declared)))
}

/// The workflow with all its tasks on this machine, if it asks for no other.
fn place_here(workflow: &Workflow) -> anyhow::Result<Workflow> {
    let placement = Placement::choose(workflow, &Allowed::here(), &[])?;
    let pipelines = placement.pipelines(workflow)?;
    let first = pipelines.into_iter().next();
    Ok(first.context("the workflow has no target")?.workflow)
}

struct Started<'a> {
    shared: &'a Shared,
    signature: Option<&'a str>,
    witness: Witness,
    sandbox: &'a Arc<Sandbox>,
    bundle: &'a Arc<Bundle>,
    policy: &'a Policy,
}

impl Started<'_> {
    async fn run(
        &self,
        workflow: &Workflow,
        selection: &Selection,
        options: &RunOptions,
        telling: &Telling,
        cancel: &Cancel,
        foreseen: &Foreseen,
    ) -> anyhow::Result<Exit> {
        let began = Instant::now();
        let sending = telling.clone();
        let setup = Setup {
            bundle: Arc::clone(self.bundle),
            stack: options.stack.clone(),
            workflow: workflow.clone(),
            policy: self.policy.clone(),
            own_files: own_files(&options.file, self.bundle)?,
            check: options.check,
            diff: options.diff,
            workdir: workdir(options.workdir.as_ref())?,
            sink: Arc::new(move |event| sending.send(event)),
            signature: self.signature.map(str::to_owned),
            witness: self.witness.clone(),
        };
        let session = Session::behind(Arc::clone(self.sandbox), setup, foreseen)
            .context("failed to begin the run")?;
        telling.begin(&self.witness.run, workflow, self.bundle, options);
        let clock = SystemClock { began };
        let run = Run {
            workflow,
            selection,
            executor: &session,
            clock: &clock,
            cancel: cancel.clone(),
            emit: &|event, _| telling.send(event),
            jitter: &jitter,
        };
        // In check mode nothing is changed that another run could be in the midst of changing.
        let lock = workflow.lock.as_ref().filter(|_| !options.check);
        let summary = match lock::take(self.shared, lock, cancel).await? {
            lock::Asked::Free(_held) => run.finish().await,
            lock::Asked::Taken(outcome, message) => run.refuse(outcome, &message),
        };
        telling.send(Event::RunFinished {
            outcome: summary.outcome,
            counts: summary.counts,
            outputs: summary.outputs,
            duration: began.elapsed(),
        });
        let cancelled = cancel.is_given() && !summary.outcome.succeeded();
        let outcome = if cancelled {
            Outcome::Cancelled
        } else {
            summary.outcome
        };
        Ok(Exit::of(outcome, &summary.counts, options.check))
    }
}

/// What a workflow imports: if it could change that, it would decide what it does next time.
pub(crate) fn own_files(file: &Path, bundle: &Bundle) -> anyhow::Result<Vec<PathBuf>> {
    let folder = std::path::absolute(file)?;
    let folder = folder.parent().unwrap_or(Path::new("/"));
    let imported = bundle
        .carried
        .keys()
        .filter(|name| !(name.starts_with("files/") || name.starts_with("templates/")));
    Ok(imported.map(|name| folder.join(name)).collect())
}

fn workdir(folder: Option<&PathBuf>) -> anyhow::Result<Option<String>> {
    let Some(folder) = folder else {
        return Ok(None);
    };
    let absolute = std::path::absolute(folder)
        .with_context(|| format!("failed to find the folder {}", folder.display()))?;
    match absolute.into_os_string().into_string() {
        Ok(folder) => Ok(Some(folder)),
        Err(folder) => bail!(
            "the folder {} has a name that is not UTF-8",
            folder.display()
        ),
    }
}

/// Sixteen hexadecimal digits that no other run has.
fn run_id() -> anyhow::Result<String> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .context("failed to draw a run's id")?;
    Ok(format!("{:016x}", u64::from_le_bytes(random)))
}

/// A number from 0 up to 1, for spreading retries. Without randomness they are not spread.
fn jitter() -> f64 {
    let mut random = [0; 4];
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    f64::from(u32::from_le_bytes(random)) / (f64::from(u32::MAX) + 1.0)
}

/// Time since the run began.
struct SystemClock {
    began: Instant,
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    async fn sleep_until(&self, moment: Duration) {
        tokio::time::sleep_until((self.began + moment).into()).await;
    }
}
