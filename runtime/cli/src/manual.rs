//! `completions`, `man` and `version`.

use anyhow::{Context, bail, ensure};
use clap::CommandFactory;

use crate::command::{Arguments, CompletionsOptions, ManOptions, VersionOptions};
use crate::exit::Exit;
use crate::render;

pub(crate) fn completions(options: &CompletionsOptions) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(
        options.shell,
        &mut Arguments::command(),
        "sloth-runner",
        &mut script,
    );
    render::bytes(&script);
    Exit::Succeeded
}

pub(crate) fn man(options: &ManOptions) -> anyhow::Result<Exit> {
    let mut command = without_help(Arguments::command());
    if let Some(folder) = &options.dir {
        ensure!(
            folder.is_dir(),
            "{} is no folder; make it first",
            folder.display()
        );
        clap_mangen::generate_to(command, folder)
            .with_context(|| format!("failed to write the manual pages to {}", folder.display()))?;
        return Ok(Exit::Succeeded);
    }
    command.build();
    let mut command = &command;
    for name in &options.subcommand {
        // Built commands know their full name.
        let Some(found) = command.find_subcommand(name) else {
            bail!(
                "there is no subcommand `{name}`; see {} --help",
                command.get_bin_name().unwrap_or("sloth-runner")
            );
        };
        command = found;
    }
    let command = command.clone();
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .context("failed to write the manual page")?;
    render::bytes(&page);
    Ok(Exit::Succeeded)
}

/// `help` has no page of its own, and neither have those beneath it.
fn without_help(command: clap::Command) -> clap::Command {
    command
        .disable_help_subcommand(true)
        .mut_subcommands(without_help)
}

pub(crate) fn version(_: &VersionOptions) -> Exit {
    render::line(&format!("sloth-runner {}", env!("CARGO_PKG_VERSION")));
    Exit::Succeeded
}
