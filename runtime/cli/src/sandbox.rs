//! `sandbox`: what steps run in, compiled ahead.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::render;

/// Compile what steps run in, once and for many machines.
#[derive(Debug, Args)]
pub(crate) struct SandboxOptions {
    #[command(subcommand)]
    command: SandboxCommand,
}

#[derive(Debug, Subcommand)]
enum SandboxCommand {
    /// Write the compiled guest to a file, for packages to ship.
    #[command(
        after_help = "The file fits every processor of this kind and exactly this version. Programs that are given it
with --guest or SLOTH_RUNNER_GUEST compile nothing and keep nothing; one that does not fit, that
belongs to another user than root or oneself, or that others can write is refused. With --output
json: {\"file\"}.

Example:
  sloth-runner sandbox precompile --out /usr/lib/sloth-runner/guest.cwasm"
    )]
    Precompile {
        /// Where it is written; what is there is replaced.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

pub(crate) fn sandbox(shared: &Shared, options: &SandboxOptions) -> anyhow::Result<Exit> {
    let SandboxCommand::Precompile { out } = &options.command;
    sloth_sandbox::precompile(out).map_err(|error| anyhow!("{error:#}"))?;
    if shared.output == Output::Json {
        render::line(&render::json_line(
            &json!({ "file": out.display().to_string() }),
        ));
    }
    Ok(Exit::Succeeded)
}
