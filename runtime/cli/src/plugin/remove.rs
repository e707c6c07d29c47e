//! `plugin remove`.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use sloth_sandbox::plugin::shelf::Shelf;

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::render;

/// Remove a plugin from this node.
#[derive(Debug, Args)]
#[command(after_help = "With --output json: {\"removed\": name}.

Example:
  sloth-runner plugin remove markdown")]
pub(crate) struct RemoveOptions {
    name: String,
}

pub(super) fn remove(shared: &Shared, options: &RemoveOptions) -> anyhow::Result<Exit> {
    let name = super::named(Some(&options.name), std::path::Path::new(""))?;
    let folder = super::folder(shared)?;
    let failed = || format!("failed to remove the plugin from {}", folder.display());
    let removed = folder.exists()
        && Shelf::open(&folder)
            .and_then(|mut shelf| shelf.remove(&name))
            .with_context(failed)?;
    if !removed {
        bail!(
            "there is no plugin {name} in {}; sloth-runner plugin list shows those that are",
            folder.display()
        );
    }
    if shared.output == Output::Json {
        render::line(&render::json_line(&json!({ "removed": name })));
    } else {
        render::line(&format!("{name} was removed"));
    }
    Ok(Exit::Succeeded)
}
