//! How a master is reached: what every command takes for it.

use std::path::PathBuf;

use clap::Args;

/// The way to a master.
#[derive(Debug, Args)]
pub(crate) struct Way {
    /// Where the master is [default: 127.0.0.1:50053].
    #[arg(
        long,
        global = true,
        help_heading = "The master",
        env = "SLOTH_RUNNER_MASTER_ADDR",
        value_name = "HOST:PORT"
    )]
    pub(crate) master: Option<String>,
    /// What is shown to the master [default: `SLOTH_RUNNER_API_KEY`, else what login wrote].
    #[arg(
        long,
        global = true,
        help_heading = "The master",
        env = "SLOTH_RUNNER_CREDENTIAL",
        value_name = "FILE"
    )]
    pub(crate) credential: Option<PathBuf>,
    /// Speak without TLS, to a master on this very machine that does so too.
    #[arg(
        long,
        global = true,
        help_heading = "The master",
        env = "SLOTH_RUNNER_INSECURE"
    )]
    pub(crate) insecure: bool,
}
