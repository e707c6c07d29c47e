//! `plugin add`: a plugin for this node's workflows.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde_json::json;
use sloth_sandbox::plugin::shelf::Shelf;

use super::inspect::asks;
use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::render;

/// Add a plugin to this node: check it, compile it once, and keep its digest.
#[derive(Debug, Args)]
#[command(
    after_help = "The file is copied, and plugins.lock keeps its digest: it is used as long as it is that very file.
With --output json: {\"name\", \"sha256\", \"size\", \"nouns\": […], \"wasi\": […], \"replaced\"}.

Examples:
  sloth-runner plugin add markdown.wasm
  sloth-runner plugin add build/out.wasm --name markdown --sha256 6ee9…"
)]
pub(crate) struct AddOptions {
    /// A WebAssembly component.
    file: PathBuf,
    /// What workflows call it [default: the file's name without its ending].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Refuse it unless it has this digest: 64 hexadecimal digits.
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<String>,
    /// Put it in the place of another one of that name.
    #[arg(long)]
    replace: bool,
}

pub(super) fn add(shared: &Shared, options: &AddOptions) -> anyhow::Result<Exit> {
    let name = super::named(options.name.as_deref(), &options.file)?;
    let (content, found) = super::looked_at(shared, &options.file)?;
    if let Some(wanted) = &options.sha256 {
        let digits = wanted.strip_prefix("sha256:").unwrap_or(wanted);
        ensure!(
            digits.eq_ignore_ascii_case(&found.sha256),
            "{} is not what was asked for: it is sha256 {}",
            options.file.display(),
            found.sha256
        );
    }
    let folder = super::folder(shared)?;
    let failed = || format!("failed to add the plugin to {}", folder.display());
    let mut shelf = Shelf::open(&folder).with_context(failed)?;
    let before = shelf.lock.plugin.get(&name).cloned();
    let same = before
        .as_ref()
        .is_some_and(|before| before.sha256 == found.sha256);
    if let Some(before) = before.as_ref().filter(|_| !same && !options.replace) {
        bail!(
            "there is a plugin {name} already (sha256 {}); --replace puts this one in its place, --name gives \
             it another name",
            before.sha256
        );
    }
    shelf.put(&name, &content).with_context(failed)?;
    if shared.output == Output::Json {
        render::line(&render::json_line(&json!({
            "name": name,
            "sha256": found.sha256,
            "size": found.size,
            "nouns": found.nouns,
            "wasi": found.wasi,
            "replaced": before.is_some() && !same,
        })));
        return Ok(Exit::Succeeded);
    }
    let done = match (before.is_some(), same) {
        (true, true) => "is there already",
        (true, false) => "was replaced",
        (false, _) => "was added",
    };
    render::line(&format!("{name} {done} (sha256 {})", found.sha256));
    render::line(&format!("It can ask for: {}.", asks(&found)));
    render::line(&format!(
        "To let workflows call it, in the policy: [plugins] call = [\"{name}\"]"
    ));
    Ok(Exit::Succeeded)
}
