//! `plan`: what a workflow file declares. Also the first half of `run`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use sloth_fleet::store::node::Database;
use sloth_policy::{Limits, Policy};
use sloth_sandbox::plugin::shelf;
use sloth_sandbox::{Failure, Node, Sandbox};
use sloth_workflow::scheduler::cancel::{self, Canceller};
use sloth_workflow::{Bundle, Cancel, Outcome, Plan};

use crate::command::{Output, PlanFormat, PlanOptions, Shared};
use crate::exit::Exit;
use crate::folder::Folder;
use crate::{input, place, plugin, render, show};

pub(crate) fn plan(shared: &Shared, options: &PlanOptions) -> anyhow::Result<Exit> {
    let bundle = input::bundle(&options.file, &options.values, &options.vars)?;
    let node = node(shared)?;
    let (bundle, plan) = runtime()?.block_on(async {
        let (canceller, cancel) = cancel::pair();
        cancel_on_signals(canceller);
        let sandbox = sandbox(node, Policy::nothing().limits())?;
        load(&sandbox, bundle, &options.file, cancel).await
    })?;
    let format = match (options.format, shared.output) {
        (Some(format), _) => format,
        (None, Output::Json) => PlanFormat::Json,
        (None, Output::Text) => PlanFormat::Text,
    };
    match format {
        PlanFormat::Text => {
            let plugins = plugin::planned(shared, &plan, &bundle)?;
            render::bytes(show::text(&plan, &bundle, &plugins).as_bytes());
        }
        PlanFormat::Json => {
            let plugins = plugin::planned(shared, &plan, &bundle)?;
            render::line(&render::json_line(&show::json(&plan, &bundle, &plugins)));
        }
        PlanFormat::Dot => render::bytes(show::dot(&plan).as_bytes()),
    }
    Ok(Exit::Succeeded)
}

/// This machine, before anything is known of a run.
pub(crate) fn node(shared: &Shared) -> anyhow::Result<Node> {
    let helper = std::path::PathBuf::from("/proc/self/exe");
    let data = place::data_folder(shared)?;
    let mut node = Node::in_data_folder(&data, helper);
    node.guest.clone_from(&shared.guest);
    if !shared.program_path.is_empty() {
        for folder in &shared.program_path {
            ensure!(
                folder.is_absolute(),
                "--program-path: `{}` is no absolute path",
                folder.display()
            );
        }
        node.path.clone_from(&shared.program_path);
    }
    node.plugins = plugin::folder(shared)?;
    // What is called there, and with it what the policy says of it, is not for a step to change.
    node.protected.push(node.plugins.clone());
    // Whoever has these has the fleet.
    node.protected.extend(place::own_credential());
    if let Some(file) = &shared.way.credential {
        node.protected.push(std::path::absolute(file)?);
    }
    let kept = Arc::new(Database::beneath(&data));
    node.state = Arc::clone(&kept) as _;
    node.stacks = kept;
    Ok(node)
}

pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")
}

/// The first Ctrl-C or SIGTERM cancels the run; a second Ctrl-C ends the program on the spot, and
/// the helpers of running children see to those.
pub(crate) fn cancel_on_signals(canceller: Canceller) {
    use tokio::signal::unix::{SignalKind, signal};
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            tracing::warn!("signals cannot be watched: Ctrl-C ends the program on the spot");
            return;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        canceller.give();
        interrupt.recv().await;
        #[expect(clippy::exit, reason = "the user asked twice")]
        std::process::exit(130);
    });
}

/// Starts the sandbox with room for the steps the policy lets run at once.
pub(crate) fn sandbox(node: Node, limits: &Limits) -> anyhow::Result<Sandbox> {
    // One instance plans, and as many run; a finished one may wait for its next step meanwhile.
    let instances = limits.concurrent_steps * 2 + 1;
    Sandbox::start(node, limits, instances)
        .map_err(anyhow::Error::from)
        .context("failed to start the sandbox")
}

/// Most files that a workflow imports.
const MAX_IMPORTS: usize = 1000;

/// Loads a workflow file and gives its bundle, with all that it imports and names, and its plan; or
/// the reason in the words of the file.
pub(crate) async fn load(
    sandbox: &Sandbox,
    bundle: Bundle,
    file: &Path,
    cancel: Cancel,
) -> anyhow::Result<(Arc<Bundle>, Plan)> {
    let name = bundle.name.clone();
    let loaded = try_load(sandbox, bundle, file, cancel).await?;
    loaded.map_err(|failure| invalid(&failure, &name))
}

/// As [`load`], with what is wrong with the workflow apart from what is wrong with its files.
pub(crate) async fn try_load(
    sandbox: &Sandbox,
    mut bundle: Bundle,
    file: &Path,
    cancel: Cancel,
) -> anyhow::Result<Result<(Arc<Bundle>, Plan), Failure>> {
    let folder = Folder::of(file);
    let mut missing = BTreeSet::new();
    loop {
        let loading = Arc::new(bundle);
        let mut wanted = Vec::new();
        let planned = sandbox
            .plan_wanting(&loading, cancel.clone(), &mut wanted)
            .await;
        bundle = Arc::unwrap_or_clone(loading);
        // What it asked for and is there goes into the bundle, and it is loaded again.
        let mut found = false;
        for name in wanted {
            if missing.contains(&name) || missing.len() > MAX_IMPORTS {
                continue;
            }
            match folder.script(&name)? {
                Some(content) => found |= bundle.carried.insert(name, content).is_none(),
                None => drop(missing.insert(name)),
            }
        }
        let carried: usize = bundle.carried.values().map(Vec::len).sum();
        anyhow::ensure!(
            carried as u64 <= sloth_workflow::bundle::MAX_CARRIED,
            "a workflow carries {} MiB of files at most",
            sloth_workflow::bundle::MAX_CARRIED >> 20
        );
        if found {
            continue;
        }
        let plan = match planned {
            Ok(plan) => plan,
            Err(failure) => return Ok(Err(failure)),
        };
        for workflow in &plan.workflows {
            // On its own thread the run's signals are heard meanwhile.
            tokio::task::block_in_place(|| {
                folder.carry_named(&workflow.bundle, &mut bundle.carried, &cancel)
            })?;
        }
        for name in &plan.plugins {
            let path = shelf::carried(name);
            if let Some(content) = folder.plugin(&path)? {
                bundle.carried.insert(path, content);
            }
        }
        let carried: usize = bundle.carried.values().map(Vec::len).sum();
        anyhow::ensure!(
            carried as u64 <= sloth_workflow::bundle::MAX_CARRIED,
            "a workflow carries {} MiB of files at most, plugins included; sloth-runner plugin add keeps them on \
             the nodes that run it",
            sloth_workflow::bundle::MAX_CARRIED >> 20
        );
        return Ok(Ok((Arc::new(bundle), plan)));
    }
}

fn invalid(failure: &Failure, name: &str) -> anyhow::Error {
    let mut text = String::new();
    if failure.outcome != Outcome::Cancelled {
        text.push_str("invalid workflow: ");
    }
    match &failure.location {
        Some(location) => text.push_str(&location.escaped()),
        None => text.push_str(&sloth_workflow::Untrusted::new(name).escaped()),
    }
    let _ = write!(text, ": {}", failure.message.escaped_lines());
    if let Some(traceback) = &failure.traceback {
        for line in traceback.escaped_lines().lines() {
            let _ = write!(text, "\n  {line}");
        }
    }
    anyhow::anyhow!(text)
}
