//! `plugin pack`: from what a compiler makes to a plugin.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use sloth_sandbox::plugin::MOST_BYTES;

use super::inspect::asks;
use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::{input, render};

/// Make a component of a core module that wit-bindgen built.
#[derive(Debug, Args)]
#[command(
    after_help = "Compilers for wasm32-unknown-unknown make core modules; this wraps one into the component that its WIT
describes. What is a component already is only checked and copied. With --output json: {\"file\",
\"sha256\", \"size\"}.

Example:
  sloth-runner plugin pack target/wasm32-unknown-unknown/release/demo.wasm --out demo.wasm"
)]
pub(crate) struct PackOptions {
    /// A core module.
    file: PathBuf,
    /// Where the component is written; what is there is replaced.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn pack(shared: &Shared, options: &PackOptions) -> anyhow::Result<Exit> {
    let module = input::read(&options.file, MOST_BYTES)?;
    let component = match sloth_sandbox::plugin::pack(&module) {
        Ok(component) => component,
        Err(why) => bail!("{} cannot be packed: {why}", options.file.display()),
    };
    let found = super::looked_into(shared, &options.file, &component)?;
    input::write(&options.out, &component)
        .with_context(|| format!("failed to write {}", options.out.display()))?;
    let file = options.out.display().to_string();
    if shared.output == Output::Json {
        render::line(&render::json_line(
            &json!({ "file": file, "sha256": found.sha256, "size": found.size }),
        ));
    } else {
        render::line(&format!(
            "{file}  {}  sha256 {}",
            super::list::size(found.size),
            found.sha256
        ));
        render::line(&format!("It can ask for: {}.", asks(&found)));
    }
    Ok(Exit::Succeeded)
}
