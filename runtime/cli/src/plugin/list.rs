//! `plugin list`: what this node has.

use anyhow::Context;
use clap::Args;
use serde_json::json;
use sloth_sandbox::plugin::shelf::{self, Lock};

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::render::{self, Paint};

/// List the plugins of this node.
#[derive(Debug, Args)]
#[command(
    after_help = "With --output json: {\"folder\", \"plugins\": [{\"name\", \"sha256\", \"size\", \"state\"}]}; the state is
`ok`, or what is wrong with the file.

Example:
  sloth-runner plugin list"
)]
pub(crate) struct ListOptions {}

pub(super) fn list(shared: &Shared, _: &ListOptions) -> anyhow::Result<Exit> {
    let folder = super::folder(shared)?;
    let lock = Lock::read(&folder)
        .with_context(|| format!("failed to read the plugins in {}", folder.display()))?;
    let mut all_well = true;
    let plugins: Vec<_> = lock
        .plugin
        .iter()
        .map(|(name, locked)| {
            let state = match shelf::content(&folder, name) {
                Ok(_) => "ok".to_owned(),
                Err(error) => error.to_string(),
            };
            all_well &= state == "ok";
            (name, locked, state)
        })
        .collect();
    if shared.output == Output::Json {
        let plugins: Vec<_> = plugins
            .iter()
            .map(|(name, locked, state)| {
                json!({ "name": name, "sha256": locked.sha256, "size": locked.size, "state": state })
            })
            .collect();
        let folder = folder.display().to_string();
        render::line(&render::json_line(
            &json!({ "folder": folder, "plugins": plugins }),
        ));
    } else if plugins.is_empty() {
        render::line(&format!("No plugins in {}.", folder.display()));
    } else {
        let paint = Paint::for_stdout(shared.color);
        let width = plugins.iter().map(|(name, ..)| name.len()).max();
        for (name, locked, state) in &plugins {
            let width = width.unwrap_or_default();
            let line = format!("{name:width$}  {:>9}  {}", size(locked.size), locked.sha256);
            let state = if state == "ok" {
                String::new()
            } else {
                format!("  {}", paint.bad(state))
            };
            render::line(&format!("{line}{state}"));
        }
    }
    Ok(if all_well {
        Exit::Succeeded
    } else {
        Exit::Failed
    })
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    if bytes < 1 << 20 {
        format!("{} KiB", bytes.div_ceil(1 << 10))
    } else {
        format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
    }
}
