//! `master`: the node that keeps the runs and gives them out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use sloth_fleet::agent::notify;
use sloth_fleet::master::{Config, Master, Settings};
use sloth_fleet::telemetry::{Mode, Telemetry};
use sloth_policy::parse_duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::telemetry::TelemetryOptions;
use crate::{place, plan, render};

/// Keep runs, and give them out to agents.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sloth-runner master start --bind-address 10.0.0.1 --data-dir /var/lib/sloth-runner"
)]
pub(crate) struct MasterOptions {
    #[command(subcommand)]
    command: MasterCommand,
}

#[derive(Debug, Subcommand)]
enum MasterCommand {
    /// Begin to work: let agents and operators in, and go on with the runs that had not ended.
    #[command(
        after_help = "At its first start it makes an authority of its own in the data folder, and a credential for the
user that it runs as, which every command on this machine uses by itself. Agents join with a
token: sloth-runner token create --role agent. Nothing that an agent does not grant runs there,
whatever the master says. SIGTERM ends it; agents go on with the steps that they are at, and the
runs go on when it comes up again. Every option is read from the environment too.

Examples:
  sloth-runner master start
  sloth-runner master start --bind-address 0.0.0.0 --tls-name fleet.example.com
  sloth-runner master start --insecure --bind-address 127.0.0.1"
    )]
    Start(StartOptions),
}

/// Begin to work.
#[derive(Debug, Args)]
struct StartOptions {
    /// Where it listens [default: 0.0.0.0; 127.0.0.1 with --insecure].
    #[arg(long, env = "SLOTH_RUNNER_BIND_ADDRESS", value_name = "ADDRESS")]
    bind_address: Option<IpAddr>,
    /// The port that agents and operators come to.
    #[arg(long, env = "SLOTH_RUNNER_PORT", default_value_t = 50053)]
    port: u16,
    /// A further name in its certificate, for clients that check it; may be repeated.
    #[arg(
        long = "tls-name",
        env = "SLOTH_RUNNER_TLS_NAME",
        value_name = "NAME",
        value_delimiter = ','
    )]
    tls_names: Vec<String>,
    /// An agent that was not heard for so long is lost.
    #[arg(
        long,
        env = "SLOTH_RUNNER_LOST_AFTER",
        value_name = "TIME",
        default_value = "30s",
        value_parser = parse_duration
    )]
    lost_after: Duration,
    /// A step on an agent that is lost for so long is unreachable.
    #[arg(
        long,
        env = "SLOTH_RUNNER_UNREACHABLE_AFTER",
        value_name = "TIME",
        default_value = "5m",
        value_parser = parse_duration
    )]
    unreachable_after: Duration,
    /// A step that waits for so long for its agent to be there is unreachable.
    #[arg(
        long,
        env = "SLOTH_RUNNER_QUEUE_TIMEOUT",
        value_name = "TIME",
        default_value = "1m",
        value_parser = parse_duration
    )]
    queue_timeout: Duration,
    /// How long a run is kept after its end, with its events and artifacts.
    #[arg(
        long,
        env = "SLOTH_RUNNER_RETENTION",
        value_name = "TIME",
        default_value = "90d",
        value_parser = parse_duration
    )]
    retention: Duration,
    /// The key that the fleet's secrets are sealed with [default: one of its own in the data folder].
    #[arg(long, env = "SLOTH_RUNNER_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    telemetry: TelemetryOptions,
}

pub(crate) fn master(shared: &Shared, options: &MasterOptions) -> anyhow::Result<Exit> {
    match &options.command {
        MasterCommand::Start(options) => start(shared, options),
    }
}

fn start(shared: &Shared, options: &StartOptions) -> anyhow::Result<Exit> {
    let insecure = shared.way.insecure;
    let address = options.bind_address.unwrap_or(if insecure {
        Ipv4Addr::LOCALHOST.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    });
    let usual = Settings::default();
    let mut config = Config {
        data: place::data_folder(shared)?,
        address: SocketAddr::new(address, options.port),
        names: options.tls_names.clone(),
        insecure,
        key: place::key(options.key_file.as_deref())?,
        settings: Settings {
            lost_after: options.lost_after,
            heartbeat: usual.heartbeat.min(options.lost_after / 3),
            unreachable_after: options.unreachable_after,
            queue_timeout: options.queue_timeout,
            retention: options.retention,
            ..usual
        },
        telemetry: Telemetry::off(),
    };
    plan::runtime()?.block_on(async {
        let mut ends = Ends::listen()?;
        let watching = options.telemetry.listen(&Mode::Master).await?;
        config.telemetry = watching.telemetry.clone();
        let master = Master::open(config)
            .await
            .context("failed to start the master")?;
        let address = master.address().context("failed to learn its own port")?;
        match shared.output {
            Output::Json => {
                let mut told = serde_json::json!({ "listening": address.to_string() });
                if let Some(metrics) = watching.address() {
                    told["metrics"] = metrics.to_string().into();
                }
                render::line(&render::json_line(&told));
            }
            Output::Text => {
                render::note(&format!("the master listens on {address}"));
                if let Some(metrics) = watching.address() {
                    render::note(&format!("metrics are on http://{metrics}/metrics"));
                }
            }
        }
        let watched = watching.serve(master.subject());
        notify::ready();
        let serving = master.serve(async {
            ends.next().await;
            notify::stopping();
        });
        tokio::select! {
            served = serving => served.context("the master ended")?,
            () = watched => unreachable!("it answers for ever"),
            () = notify::keep_alive() => {}
        }
        Ok(Exit::Succeeded)
    })
}

/// What ends a master.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
}

impl Ends {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("failed to watch for Ctrl-C")?,
            terminate: signal(SignalKind::terminate()).context("failed to watch for SIGTERM")?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
