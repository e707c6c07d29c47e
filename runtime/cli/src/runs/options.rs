//! What can be asked about runs.

use clap::{Args, Subcommand, ValueEnum};
use sloth_fleet::store::master::{Filter, RunState};
use sloth_fleet::wire::{client, value};
use sloth_workflow::Value;

use super::source::Source;
use super::{change, list, logs, show};
use crate::command::Shared;
use crate::exit::Exit;
use crate::{plan, render};

/// Show what was run, and how it went.
#[derive(Debug, Args)]
#[command(
    after_help = "Runs on this machine are written down in local.db in the data folder, unless they are started
with --no-history, and stay there for 90 days. With --master (or SLOTH_RUNNER_MASTER_ADDR) it is
that master's runs that are shown.

Exit codes: 0 done, 1 there is no such run or the history cannot be read, 2 wrong usage.

Examples:
  sloth-runner runs list --state failed
  sloth-runner runs show 4f8a0c1d2e3b4a59
  sloth-runner runs logs 4f8a0c1d2e3b4a59 -f"
)]
pub(crate) struct RunsOptions {
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// List runs, the latest first.
    #[command(
        after_help = "With --output json: {\"runs\": [{\"id\", \"stack\", \"workflow\", \"state\", \"outcome\", \"check\",
\"submitter\", \"submitted\", \"finished\", \"counts\", \"targets\", \"bundle\", \"events\"}]}. A state is
queued, running, succeeded, failed, cancelled or denied; events is how many there are.

Example:\n  sloth-runner runs list --stack production --limit 10"
    )]
    List {
        /// Of this stack.
        #[arg(long, value_name = "NAME")]
        stack: Option<String>,
        /// In this state.
        #[arg(long)]
        state: Option<State>,
        /// At most so many, up to 1000.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u16,
    },
    /// Show a run, its steps and its outputs.
    #[command(
        after_help = "With --output json: what list tells, and {\"steps\": [{\"task\", \"target\", \"attempt\", \"running\",
\"outcome\", \"message\"}], \"outputs\": {…}}.

Example:\n  sloth-runner runs show 4f8a0c1d2e3b4a59 --output json"
    )]
    Show { id: String },
    /// Show a run's events again, with all that its programs printed.
    #[command(
        after_help = "With --output json: one event a line, as run prints them.

Examples:
  sloth-runner runs logs 4f8a0c1d2e3b4a59 -f
  sloth-runner runs logs 4f8a0c1d2e3b4a59 --since 10m"
    )]
    Logs {
        id: String,
        /// Wait for further events, until the run ends, and exit as `run` does for what became of it.
        #[arg(short, long)]
        follow: bool,
        /// Only what happened within this time, such as 90s, 10m or 12h.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
    /// Cancel a run of the master: what runs is ended, and nothing more starts.
    #[command(after_help = "With --output json: {\"id\", \"cancelling\"}.

Example:\n  sloth-runner runs cancel 4f8a0c1d2e3b4a59 --master fleet.example.com")]
    Cancel { id: String },
    /// Run again what did not succeed of a run of the master; what did is taken from it.
    #[command(
        after_help = "Example:\n  sloth-runner runs resume 4f8a0c1d2e3b4a59 --master fleet.example.com"
    )]
    Resume {
        id: String,
        /// Print the new run's id and leave it to the master.
        #[arg(long)]
        detach: bool,
    },
    /// As resume, on those targets only where it did not succeed.
    #[command(
        after_help = "Example:\n  sloth-runner runs retry 4f8a0c1d2e3b4a59 --failed-hosts --master fleet.example.com"
    )]
    Retry {
        id: String,
        /// What retry does anyway, for those who like to see it written.
        #[arg(long)]
        failed_hosts: bool,
        /// Print the new run's id and leave it to the master.
        #[arg(long)]
        detach: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Denied,
}

impl From<State> for RunState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Running => Self::Running,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
            State::Denied => Self::Denied,
        }
    }
}

/// The runs of a stack, the latest first.
pub(crate) fn history(shared: &Shared, stack: &str, limit: u16) -> anyhow::Result<Exit> {
    answered(async {
        let source = Source::of(shared).await?;
        let filter = Filter {
            limit: limit.into(),
            state: None,
            stack: Some(stack.to_owned()),
            target: None,
            within: None,
        };
        list::list(shared, &source, filter).await?;
        Ok(Exit::Succeeded)
    })
}

/// What the last run of a stack that succeeded set as the stack's outputs, at the master.
pub(crate) fn outputs(shared: &Shared, stack: &str) -> anyhow::Result<Value> {
    plan::runtime()?.block_on(async {
        let source = Source::of(shared).await?;
        let filter = Filter {
            limit: 1,
            state: Some(RunState::Succeeded),
            stack: Some(stack.to_owned()),
            target: None,
            within: None,
        };
        let runs = source.runs(filter).await?;
        let Some(run) = runs.first() else {
            return Ok(Value::Null);
        };
        let (detail, _) = source.detail(&run.id).await?;
        let outputs = detail.outputs.as_deref().unwrap_or_default();
        let outputs = value::map("the outputs", outputs, value::WHOLE)?;
        Ok(outputs.get("stack").cloned().unwrap_or(outputs))
    })
}

pub(crate) fn runs(shared: &Shared, options: &RunsOptions) -> anyhow::Result<Exit> {
    let since = match &options.command {
        RunsCommand::Logs { since, .. } => logs::moment(since.as_deref())?,
        _ => None,
    };
    answered(async {
        let source = Source::of(shared).await?;
        match &options.command {
            RunsCommand::List {
                stack,
                state,
                limit,
            } => {
                let filter = Filter {
                    limit: usize::from(*limit).max(1),
                    stack: stack.clone(),
                    state: state.map(Into::into),
                    target: None,
                    within: None,
                };
                list::list(shared, &source, filter).await
            }
            RunsCommand::Show { id } => show::show(shared, &source, id).await,
            RunsCommand::Logs { id, follow, .. } => {
                return logs::logs(shared, &source, id, *follow, since).await;
            }
            RunsCommand::Cancel { id } => change::cancel(shared, id).await,
            RunsCommand::Resume { id, detach } => {
                return change::resume(shared, id, false, *detach).await;
            }
            RunsCommand::Retry { id, detach, .. } => {
                return change::resume(shared, id, true, *detach).await;
            }
        }?;
        Ok(Exit::Succeeded)
    })
}

/// A master that is not reached, or refuses, has exit codes of its own.
fn answered(asking: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    plan::runtime()?
        .block_on(asking)
        .or_else(
            |error: anyhow::Error| match error.downcast_ref::<client::Error>() {
                Some(of_master) if !of_master.is_unknown_target() => Err(error),
                _ => Ok(failed(error)),
            },
        )
}

fn failed(error: impl Into<anyhow::Error>) -> Exit {
    render::error(&error.into());
    Exit::Failed
}
