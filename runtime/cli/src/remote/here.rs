//! This machine as a target of a run that a master has: it takes steps of the bundle that was submitted from here,
//! under the policy of whoever submitted it, and nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use sloth_fleet::agent::{Agent, Config, Granting, Only, Patience, ReadPolicy};
use sloth_fleet::store::journal::{Bounds, Passing};
use sloth_fleet::telemetry::Telemetry;
use sloth_fleet::wire::client::Settings;
use sloth_policy::Policy;
use sloth_sandbox::Node;
use sloth_sandbox::ports::audit::Audit;
use sloth_workflow::placement::{LOCAL, Share};
use sloth_workflow::{Allowed, Bundle, Placement, Selector, Workflow};
use tokio::task::JoinHandle;

use crate::command::{RunOptions, Shared};
use crate::{audit, confirm, input, place, render, run, secret};

/// Most bytes of artifacts that one run's session keeps.
const CONTENTS: u64 = 4 << 30;

/// What the operator allows.
pub(super) fn allowed(options: &RunOptions) -> anyhow::Result<Allowed> {
    let agents = &options.agents;
    let selector = agents.targets.as_deref().map(Selector::parse).transpose();
    Ok(Allowed {
        names: agents.delegate_to.clone(),
        selector: selector.context("--targets")?,
        local: agents.allow_local,
        limit: agents.limit.unwrap_or(0) as usize,
    })
}

/// What this machine brings to the runs of a file.
pub(super) struct Here {
    node: Node,
    policy: Policy,
    audit: Arc<dyn Audit>,
    data: PathBuf,
    master: Settings,
}

impl Here {
    /// Gets this machine ready, if any of the workflows could use it.
    pub(super) fn of(
        shared: &Shared,
        options: &RunOptions,
        bundle: &Bundle,
        workflows: &[&Workflow],
    ) -> anyhow::Result<Option<Self>> {
        let allowed = allowed(options)?;
        let mut parts = workflows
            .iter()
            .map(|workflow| Placement::here(workflow, &allowed));
        if parts.all(|part| part == Share::default()) {
            if options.grant_declared {
                bail!(
                    "--grant-declared grants on this machine, where nothing of the run is; what an agent grants is \
                     in its own policy (--allow-local lets tasks run here)"
                );
            }
            return Ok(None);
        }
        if options.agents.detach {
            bail!(
                "steps of this run may be on this machine, and they need this program until their end: leave out \
                 --detach, or name agents for all of them"
            );
        }
        let (mut policy, policy_file) = input::policy(options.policy.as_deref())?;
        if options.grant_declared {
            let declared = confirm::declared(workflows);
            confirm::refuse_account(&declared)?;
            policy = policy.granting(declared);
        }
        let mut node = run::node(shared, policy_file.as_deref(), &options.file)?;
        node.protected
            .extend(run::own_files(&options.file, bundle)?);
        secret::open(shared, options.key_file.as_deref(), &mut node)?;
        Ok(Some(Self {
            node,
            policy,
            audit: Arc::new(audit::open(shared)?),
            data: place::data_folder(shared)?,
            master: place::client(shared)?,
        }))
    }

    /// Takes part in a run with a bundle. None where another process on this machine does so already.
    pub(super) async fn join(&self, mut only: Only) -> anyhow::Result<Option<Joined>> {
        let folder = match Passing::beneath(&self.data, &only.run) {
            Ok(Some(folder)) => folder,
            Ok(None) => {
                render::note("the steps on this machine are run by another sloth-runner here");
                return Ok(None);
            }
            Err(problem) => bail!(problem),
        };
        only.bundle = folder.bundle(&only.bundle).map_err(anyhow::Error::msg)?;
        let policy = self.policy.clone();
        let read: ReadPolicy = Arc::new(move || {
            Ok(Granting {
                policy: policy.clone(),
                // It is nobody's business but the operator's.
                text: String::new(),
            })
        });
        let agent = Agent::open(Config {
            name: LOCAL.to_owned(),
            labels: BTreeMap::new(),
            data: folder.path().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.node.clone(),
            dial: Arc::new(self.master.clone()),
            policy: read,
            audit: Arc::clone(&self.audit),
            report_address: String::new(),
            only: Some(only),
            contents: CONTENTS,
            bounds: Bounds::default(),
            patience: Patience::default(),
            telemetry: Telemetry::off(),
        });
        let agent = agent.await.map_err(anyhow::Error::msg)?;
        let own = agent.clone();
        Ok(Some(Joined {
            agent,
            folder,
            working: tokio::spawn(async move { own.run().await }),
        }))
    }
}

/// This machine while it takes part.
pub(super) struct Joined {
    agent: Agent,
    folder: Passing,
    working: JoinHandle<()>,
}

impl Joined {
    /// Ends the session. What still runs here, in a run that was left, is cancelled.
    pub(super) async fn leave(self, over: bool) {
        if over {
            self.agent.drain();
        } else {
            self.agent.end();
        }
        // It waits a moment for what is yet to be delivered.
        let _ = self.working.await;
        if over {
            drop(self.agent);
            self.folder.remove();
        }
    }
}
