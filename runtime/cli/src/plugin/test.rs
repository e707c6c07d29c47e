//! `plugin test`: a plugin against its own workflow, with no rights but to be called.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Parser};
use sloth_sandbox::plugin::shelf::Shelf;

use crate::command::{Arguments, Command, Output, Shared};
use crate::exit::Exit;
use crate::temporary::Temporary;
use crate::{input, place, run};

/// Test a plugin: run test.sloth of its folder with it.
#[derive(Debug, Args)]
#[command(
    after_help = "The plugin is the component NAME.wasm of the folder, NAME being the folder's name. test.sloth runs
under test.toml if that is there, else under a policy that grants nothing but to call the plugin.

Examples:
  sloth-runner plugin test
  sloth-runner plugin test demo --plugin demo/build/demo.wasm"
)]
pub(crate) struct TestOptions {
    /// The plugin's folder.
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
    /// The component, if it is not NAME.wasm of the folder.
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
}

pub(super) fn test(shared: &Shared, options: &TestOptions) -> anyhow::Result<Exit> {
    let folder = input::real_path(&options.folder)?;
    let file = match &options.plugin {
        Some(file) => file.clone(),
        None => folder.join(format!(
            "{}.wasm",
            folder.file_name().unwrap_or_default().to_string_lossy()
        )),
    };
    if !file.exists() {
        bail!(
            "there is no {}: build the plugin first, or name its file with --plugin",
            file.display()
        );
    }
    let script = folder.join("test.sloth");
    if !script.exists() {
        bail!(
            "there is no {}; sloth-runner plugin new writes one",
            script.display()
        );
    }
    let name = super::named(None, &file)?;
    let (content, _) = super::looked_at(shared, &file)?;
    let temporary = Temporary::make()?;
    let plugins = temporary.path().join("plugins");
    let added = Shelf::open(&plugins).and_then(|mut shelf| shelf.put(&name, &content));
    added.with_context(|| format!("failed to put the plugin into {}", plugins.display()))?;
    let policy = folder.join("test.toml");
    let policy = if policy.exists() {
        policy
    } else {
        let policy = temporary.path().join("policy.toml");
        let text = format!("version = 1\n\n[plugins]\ncall = [\"{name}\"]\n");
        input::write_new(&policy, &text)?;
        policy
    };
    let data = place::data_folder(shared)?;
    run_with(shared, &name, &script, &policy, &plugins, &data)
}

/// As the command line would, with the plugin alone.
fn run_with(
    shared: &Shared,
    name: &str,
    script: &Path,
    policy: &Path,
    plugins: &Path,
    data: &Path,
) -> anyhow::Result<Exit> {
    let mut words: Vec<std::ffi::OsString> = vec!["sloth-runner".into(), "run".into()];
    words.push(format!("test-{name}").into());
    for (flag, path) in [
        ("--file", script),
        ("--policy", policy),
        ("--plugins", plugins),
        ("--data-dir", data),
    ] {
        words.extend([flag.into(), path.into()]);
    }
    if let Some(guest) = &shared.guest {
        words.extend(["--guest".into(), guest.into()]);
    }
    if shared.output == Output::Json {
        words.extend(["--output".into(), "json".into()]);
    }
    words.push("--yes".into());
    let arguments = Arguments::try_parse_from(words)?;
    match arguments.command {
        Command::Run(options) => run::run(&arguments.shared, options),
        _ => bail!("the words of a run are those of another command"),
    }
}
