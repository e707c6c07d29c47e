//! `sign`: a signature beside a workflow, by which nodes know whose it is.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use sloth_policy::Policy;
use sloth_workflow::scheduler::cancel;
use sloth_workflow::signature::Key;

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::{input, plan, render};

/// Sign a workflow, or make a key to sign with.
#[derive(Debug, Args)]
#[command(
    after_help = "The signature covers the script and all it carries, and is written beside the file as
FILE.sig. A policy that lists the key under [keys] can grant more to what it signed:
  [[rule]]
  match = { signed-by = \"ops\" }

Examples:
  sloth-runner sign --new-key ops.key
  sloth-runner sign -f deploy.sloth --key ops.key"
)]
pub(crate) struct SignOptions {
    /// The workflow file.
    #[arg(short, long, value_name = "FILE", requires = "key")]
    pub(crate) file: Option<PathBuf>,
    /// The key to sign with.
    #[arg(long, value_name = "FILE", requires = "file")]
    pub(crate) key: Option<PathBuf>,
    /// Make a key, and print the lines that make a policy know it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "key"])]
    pub(crate) new_key: Option<PathBuf>,
}

pub(crate) fn sign(shared: &Shared, options: &SignOptions) -> anyhow::Result<Exit> {
    match (&options.new_key, &options.file, &options.key) {
        (Some(file), None, None) => new_key(shared, file),
        (None, Some(file), Some(key)) => sign_file(shared, file, key),
        _ => bail!("name a workflow with -f and a key with --key, or make a key with --new-key"),
    }
}

fn new_key(shared: &Shared, file: &Path) -> anyhow::Result<Exit> {
    let mut secret = [0; 32];
    rustix::rand::getrandom(&mut secret, rustix::rand::GetRandomFlags::empty())
        .context("failed to draw a key")?;
    let key = Key::of(&secret);
    input::write_secret(file, &key.file())?;
    let name = file
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let public = key.public();
    if shared.output == Output::Json {
        render::line(&render::json_line(
            &json!({ "file": file.display().to_string(), "public": public }),
        ));
    } else {
        let name = serde_json::to_string(&name.unwrap_or_default())?;
        render::line(&format!("[keys]\n{name} = \"{public}\""));
        render::note(&format!(
            "the key is in {}; the lines above are for the policies of nodes that are to know it",
            file.display()
        ));
    }
    Ok(Exit::Succeeded)
}

fn sign_file(shared: &Shared, file: &Path, key: &Path) -> anyhow::Result<Exit> {
    let key = input::signing_key(key)?;
    let bundle = input::bundle(file, &[], &[])?;
    let node = plan::node(shared)?;
    let (bundle, _) = plan::runtime()?.block_on(async {
        let (canceller, cancel) = cancel::pair();
        plan::cancel_on_signals(canceller);
        let sandbox = plan::sandbox(node, Policy::nothing().limits())?;
        plan::load(&sandbox, bundle, file, cancel).await
    })?;
    let digest = bundle.digest();
    let before = input::signature(file)?;
    let text = key
        .sign(&digest, before.as_deref())
        .with_context(|| format!("failed to add to {}", input::signature_of(file).display()))?;
    input::write_signature(file, &text)?;
    let written = input::signature_of(file);
    if shared.output == Output::Json {
        render::line(&render::json_line(&json!({
            "signature": written.display().to_string(),
            "bundle": digest,
            "key": key.public(),
        })));
    } else {
        render::line(&format!("{digest} is signed in {}", written.display()));
    }
    Ok(Exit::Succeeded)
}
