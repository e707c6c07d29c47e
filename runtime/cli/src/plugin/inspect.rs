//! `plugin inspect`: what a plugin is, before it is trusted.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use sloth_sandbox::plugin::{Inspected, shelf};

use super::list::size;
use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::render::{self, Paint};

/// Show what a plugin offers and what it can ask for. Nothing of it runs.
#[derive(Debug, Args)]
#[command(
    after_help = "With --output json: {\"sha256\", \"size\", \"functions\": […], \"nouns\": […], \"wasi\": […], \"wit\"}.

Examples:
  sloth-runner plugin inspect markdown
  sloth-runner plugin inspect ./markdown.wasm --wit"
)]
pub(crate) struct InspectOptions {
    /// A plugin of this node by its name, or a file.
    #[arg(value_name = "NAME|FILE")]
    subject: String,
    /// Print its WIT and nothing else.
    #[arg(long)]
    wit: bool,
}

pub(super) fn inspect(shared: &Shared, options: &InspectOptions) -> anyhow::Result<Exit> {
    let file = found(shared, &options.subject)?;
    let (_, found) = super::looked_at(shared, &file)?;
    if options.wit {
        render::bytes(found.wit.as_bytes());
        return Ok(Exit::Succeeded);
    }
    if shared.output == Output::Json {
        render::line(&render::json_line(&json!({
            "sha256": found.sha256,
            "size": found.size,
            "functions": found.functions,
            "nouns": found.nouns,
            "wasi": found.wasi,
            "wit": found.wit,
        })));
        return Ok(Exit::Succeeded);
    }
    let paint = Paint::for_stdout(shared.color);
    render::line(&format!("{}  {}", file.display(), size(found.size)));
    render::line(&format!("sha256 {}", found.sha256));
    render::line("");
    render::line(&paint.bold("Functions"));
    for function in &found.functions {
        render::line(&format!("  {function}"));
    }
    render::line("");
    render::line(&paint.bold("Can ask for"));
    render::line(&format!("  {}", asks(&found)));
    render::line("");
    render::line(&paint.dim("--wit prints its WIT."));
    Ok(Exit::Succeeded)
}

/// A plugin of this node, or a file.
fn found(shared: &Shared, subject: &str) -> anyhow::Result<PathBuf> {
    let is_name = sloth_policy::is_plugin_name(subject);
    let own = shelf::file(&super::folder(shared)?, subject);
    Ok(if is_name && own.exists() {
        own
    } else {
        Path::new(subject).to_owned()
    })
}

/// What it can ask for, in words. Whether it gets it is the policy's to say.
pub(crate) fn asks(found: &Inspected) -> String {
    let mut asked: Vec<String> = found.nouns.clone();
    let wasi = |group: &str| {
        let prefix = format!("wasi:{group}/");
        found.wasi.iter().any(|import| import.starts_with(&prefix))
    };
    for (group, words) in [
        (
            "filesystem",
            "files through WASI (whole granted folders, to read)",
        ),
        ("sockets", "sockets through WASI (always refused)"),
        ("http", "requests through WASI (as http.send)"),
    ] {
        if wasi(group) {
            asked.push(words.to_owned());
        }
    }
    if asked.is_empty() {
        return "nothing".to_owned();
    }
    asked.join(", ")
}
