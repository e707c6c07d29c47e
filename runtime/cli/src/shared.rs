//! What every subcommand takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::way::Way;

/// Options that every subcommand takes.
#[derive(Debug, Args)]
pub(crate) struct Shared {
    /// Where the program keeps its own files [default: $XDG_DATA_HOME/sloth-runner].
    #[arg(long, global = true, env = "SLOTH_RUNNER_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// What steps run in, as `sandbox precompile` made it [default: compiled at the first start, and kept].
    #[arg(long, global = true, env = "SLOTH_RUNNER_GUEST", value_name = "FILE")]
    pub(crate) guest: Option<PathBuf>,
    /// Where this node's plugins are [default: plugins in the data folder].
    #[arg(long, global = true, env = "SLOTH_RUNNER_PLUGINS", value_name = "DIR")]
    pub(crate) plugins: Option<PathBuf>,
    /// Where the programs of steps are looked up by their names [default: the folders of bin and sbin in /usr/local, /usr
    /// and /].
    #[arg(
        long,
        global = true,
        env = "SLOTH_RUNNER_PROGRAM_PATH",
        value_name = "DIR:…",
        value_delimiter = ':'
    )]
    pub(crate) program_path: Vec<PathBuf>,
    /// Text for people, or JSON lines for programs.
    #[arg(long, global = true, default_value = "text", value_name = "FORMAT")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) way: Way,
    /// Colours; `NO_COLOR` is respected.
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
    /// To systemd's journal itself, with priorities and fields.
    Journald,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}
