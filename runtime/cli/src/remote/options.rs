//! What `run` takes for a run on agents.

use std::time::Duration;

use clap::Args;
use sloth_policy::parse_duration;

/// For a run on agents of a master.
#[derive(Debug, Args)]
#[command(next_help_heading = "Agents")]
pub(crate) struct OnAgents {
    /// Run on this agent of the master; may be repeated, and each runs the whole workflow.
    #[arg(
        long,
        value_name = "AGENT",
        conflicts_with_all = ["learn", "workdir", "no_history"]
    )]
    pub(crate) delegate_to: Vec<String>,
    /// Agents that the file itself may name, such as 'role=web and not region=eu'.
    #[arg(long, value_name = "SELECTOR", conflicts_with_all = ["learn", "workdir", "no_history"])]
    pub(crate) targets: Option<String>,
    /// Let tasks run on this machine too, although the run is delegated; the policy here decides what they may.
    #[arg(long, requires = "delegate_to")]
    pub(crate) allow_local: bool,
    /// On how many agents at once, all that is delegated together.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
    /// Print the run's id and leave it to the master.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Submitting again with the same key is the same run.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// How long a step waits for its agent to be there [default: the master's].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) queue_timeout: Option<Duration>,
}

impl OnAgents {
    /// Whether the run is for agents at all.
    pub(crate) fn any(&self) -> bool {
        !self.delegate_to.is_empty() || self.targets.is_some()
    }
}
