//! `run --delegate-to`: a workflow on agents of a master.

use anyhow::Context;
use sloth_fleet::agent::Only;
use sloth_fleet::wire::client::{self, Fleet};
use sloth_fleet::wire::generated::SubmitRequest;
use sloth_workflow::placement::Share;
use sloth_workflow::scheduler::{Selection, cancel};
use sloth_workflow::{Placement, Workflow};

use super::here::{self, Here};
use super::watch::{self, Watched};
use crate::command::{Output, RunOptions, Shared};
use crate::exit::Exit;
use crate::render::{self, Events, Paint};
use crate::{confirm, input, place, plan, plugin, run};

pub(crate) fn delegate(shared: &Shared, options: &RunOptions) -> anyhow::Result<Exit> {
    let bundle = input::bundle(&options.file, &options.values, &options.vars)?;
    let signature = input::signature(&options.file)?;
    let node = plan::node(shared)?;
    plan::runtime()?.block_on(async {
        // Loading the file is cut short by Ctrl-C; a run that is submitted asks what is meant.
        let (_canceller, cancel) = cancel::pair();
        let sandbox = plan::sandbox(node, sloth_policy::Policy::nothing().limits())?;
        let (bundle, plan) = plan::load(&sandbox, bundle, &options.file, cancel).await?;
        let bundle = if signature.is_none() {
            plugin::carrying(shared, bundle, &plan)?
        } else {
            // What was signed is what travels: its plugins lie beside it, or are the agents' own.
            bundle
        };
        let workflows = run::wanted(&plan.workflows, options.workflow.as_deref())?;
        let here = Here::of(shared, options, &bundle, &workflows)?;
        if !options.yes
            && !options.check
            && !confirm::ask_there(&workflows, &options.agents.delegate_to)?
        {
            render::note("nothing was run");
            return Ok(Exit::Cancelled);
        }
        let mut fleet = client::connect(&place::client(shared)?).await?;
        let digest = super::bundle::upload(&mut fleet, &bundle, signature.as_deref()).await?;
        let mut exit = Exit::Succeeded;
        for (at, workflow) in workflows.iter().enumerate() {
            let selection = run::selection(workflow, &workflows, options)?;
            let wanted = Wanted {
                options,
                digest: &digest,
                plan: plan.cbor(),
                workflow,
                selection: &selection,
                here: here.as_ref(),
                at,
            };
            exit = exit.and(wanted.run(shared, &mut fleet).await?);
            if exit == Exit::Cancelled {
                break;
            }
        }
        Ok(exit)
    })
}

/// One workflow of the file.
struct Wanted<'a> {
    options: &'a RunOptions,
    digest: &'a str,
    plan: &'a [u8],
    workflow: &'a Workflow,
    selection: &'a Selection,
    /// This machine, if steps may be on it.
    here: Option<&'a Here>,
    /// Its place among those that are run.
    at: usize,
}

impl Wanted<'_> {
    async fn run(&self, shared: &Shared, fleet: &mut Fleet) -> anyhow::Result<Exit> {
        let answer = fleet
            .submit(self.request())
            .await
            .map_err(client::problem)
            .context("failed to submit the run")?
            .into_inner();
        let run = answer.run.context("the master's answer names no run")?;
        let run = sloth_fleet::wire::run::read(run)?;
        if self.options.agents.detach {
            match shared.output {
                Output::Text => render::line(&run.id),
                Output::Json => {
                    render::line(&render::json_line(&serde_json::json!({ "run": run.id })));
                }
            }
            return Ok(Exit::Succeeded);
        }
        let targets = run.targets.len();
        let events = Events::print(
            shared.output,
            Paint::for_stdout(shared.color),
            self.workflow.max_parallel_tasks > 1,
            targets,
        );
        let share = self.share()?;
        let joined = match self.here {
            Some(here) if share != Share::default() => here.join(self.only(&run.id, share)).await?,
            _ => None,
        };
        let watched = watch::watch(fleet, &run.id, 0, |record| events.pass_on(record)).await;
        events.finish();
        if let Some(joined) = joined {
            joined.leave(matches!(watched, Ok(Watched::Ended(_)))).await;
        }
        Ok(watched?.exit(self.options.check))
    }

    /// What of the workflow may be on this machine, and was asked for.
    fn share(&self) -> anyhow::Result<Share> {
        let mut share = Placement::here(self.workflow, &here::allowed(self.options)?);
        let selected = self.selection.tasks(self.workflow);
        share.tasks.retain(|task| selected.contains(task));
        Ok(share)
    }

    /// What this machine takes part in.
    fn only(&self, run: &str, share: Share) -> Only {
        Only {
            run: run.to_owned(),
            bundle: self.digest.to_owned(),
            stack: self.options.stack.clone(),
            workflow: self.workflow.name.raw().to_owned(),
            check: self.options.check,
            share,
        }
    }

    fn request(&self) -> SubmitRequest {
        let options = self.options;
        let indices = |tasks: &std::collections::BTreeSet<usize>| {
            tasks
                .iter()
                .map(|task| u32::try_from(*task).unwrap_or(u32::MAX))
                .collect()
        };
        SubmitRequest {
            bundle: self.digest.to_owned(),
            plan: self.plan.to_vec(),
            stack: options.stack.clone(),
            workflow: self.workflow.name.raw().to_owned(),
            targets: options.agents.delegate_to.clone(),
            allowed: options.agents.targets.clone().unwrap_or_default(),
            allow_local: options.agents.allow_local,
            limit: options.agents.limit.unwrap_or(0),
            check: options.check,
            diff: options.diff,
            only: indices(&self.selection.only),
            skip: indices(&self.selection.skip),
            // Each workflow of a file is a run of its own.
            idempotency_key: options
                .agents
                .idempotency_key
                .as_ref()
                .map(|key| format!("{key}/{}", self.at))
                .unwrap_or_default(),
            queue_timeout_s: options
                .agents
                .queue_timeout
                .map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX)),
        }
    }
}
