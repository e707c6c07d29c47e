//! `plugin`: components that add functions to workflows, for who runs them and for who writes them.
//!
//! Reading order: [`add`], [`list`], [`inspect`], [`remove`] (a node's plugins) → [`new`], [`pack`], [`test`] (an
//! author's) → [`planned`] (what a plan says of them).

mod add;
mod inspect;
mod list;
mod new;
mod pack;
mod planned;
mod remove;
mod test;

pub(crate) use planned::{Planned, carrying, planned};

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use sloth_policy::is_plugin_name;
use sloth_sandbox::plugin::{Inspected, MOST_BYTES, inspect as look};
use sloth_workflow::Untrusted;

use crate::command::Shared;
use crate::exit::Exit;
use crate::{input, place};

/// Add functions to workflows: components that others wrote, in any language.
#[derive(Debug, Args)]
#[command(
    after_help = "A plugin is a WebAssembly component. Workflows call it with plugin(\"NAME\") where the policy grants
plugins.call of its name; it reaches nothing but what [plugin.NAME] of the policy and the task that
calls it both grant. docs/plugins.md tells how to write one.

Examples:
  sloth-runner plugin inspect markdown.wasm
  sloth-runner plugin add markdown.wasm
  sloth-runner plugin new --lang rust demo"
)]
pub(crate) struct PluginOptions {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    Add(add::AddOptions),
    List(list::ListOptions),
    Inspect(inspect::InspectOptions),
    Remove(remove::RemoveOptions),
    New(new::NewOptions),
    Pack(pack::PackOptions),
    Test(test::TestOptions),
}

pub(crate) fn plugin(shared: &Shared, options: &PluginOptions) -> anyhow::Result<Exit> {
    match &options.command {
        PluginCommand::Add(options) => add::add(shared, options),
        PluginCommand::List(options) => list::list(shared, options),
        PluginCommand::Inspect(options) => inspect::inspect(shared, options),
        PluginCommand::Remove(options) => remove::remove(shared, options),
        PluginCommand::New(options) => new::new(shared, options),
        PluginCommand::Pack(options) => pack::pack(shared, options),
        PluginCommand::Test(options) => test::test(shared, options),
    }
}

/// The folder of this node's plugins.
pub(crate) fn folder(shared: &Shared) -> anyhow::Result<PathBuf> {
    match &shared.plugins {
        Some(folder) => std::path::absolute(folder)
            .with_context(|| format!("failed to find the plugins in {}", folder.display())),
        None => Ok(place::data_folder(shared)?.join("plugins")),
    }
}

/// A plugin's file and what it is. Compiles it, unless that was done before.
fn looked_at(shared: &Shared, file: &Path) -> anyhow::Result<(Vec<u8>, Inspected)> {
    let content = input::read(file, MOST_BYTES)?;
    let inspected = looked_into(shared, file, &content)?;
    Ok((content, inspected))
}

fn looked_into(shared: &Shared, file: &Path, content: &[u8]) -> anyhow::Result<Inspected> {
    let cache = place::data_folder(shared)?.join("cache");
    match look(content, &cache) {
        Ok(inspected) => Ok(inspected),
        Err(why) => {
            let why = Untrusted::new(why);
            bail!("{} is no plugin: {}", file.display(), why.escaped_lines())
        }
    }
}

/// The name that is given, or that of the file without its ending.
fn named(given: Option<&str>, file: &Path) -> anyhow::Result<String> {
    let stem = || {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        stem.replace('_', "-").to_lowercase()
    };
    let name = given.map_or_else(stem, str::to_owned);
    ensure!(
        is_plugin_name(&name),
        "`{}` is no name of a plugin; names are of lower-case letters, digits and `-`, and begin with a letter: \
         name it with --name",
        Untrusted::new(&*name).escaped()
    );
    Ok(name)
}
