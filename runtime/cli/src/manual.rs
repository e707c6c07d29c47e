//! `completions`, `man` and `version`.

use anyhow::{Context, bail};
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
    let mut command = Arguments::command();
    command.build();
    let command = match &options.subcommand {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            // Built commands know their full name.
            Some(found) => found.clone(),
            None => bail!("there is no subcommand `{name}`; see sloth-runner --help"),
        },
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .context("failed to write the manual page")?;
    render::bytes(&page);
    Ok(Exit::Succeeded)
}

pub(crate) fn version(_: &VersionOptions) -> Exit {
    render::line(&format!("sloth-runner {}", env!("CARGO_PKG_VERSION")));
    Exit::Succeeded
}
