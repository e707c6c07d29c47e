//! Telemetry of services: the flags, and the port that is watched.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use sloth_fleet::telemetry::{Mode, Subject, Telemetry, page};
use tokio::net::TcpListener;

/// What of a service can be watched, and where.
#[derive(Debug, Args)]
pub(crate) struct TelemetryOptions {
    /// Serve /metrics for Prometheus, /health and /ready, over plain HTTP.
    #[arg(long, env = "SLOTH_RUNNER_TELEMETRY", help_heading = "Telemetry")]
    telemetry: bool,
    /// The port of that.
    #[arg(
        long,
        env = "SLOTH_RUNNER_METRICS_PORT",
        value_name = "PORT",
        default_value_t = 9090,
        requires = "telemetry",
        help_heading = "Telemetry"
    )]
    metrics_port: u16,
    /// Where that listens. Whoever reaches it can read names of workflows, tasks and agents' states.
    #[arg(
        long,
        env = "SLOTH_RUNNER_METRICS_BIND",
        value_name = "ADDRESS",
        default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST),
        requires = "telemetry",
        help_heading = "Telemetry"
    )]
    metrics_bind: IpAddr,
}

/// A service that is watched, or not.
pub(crate) struct Watching {
    pub(crate) telemetry: Telemetry,
    listener: Option<TcpListener>,
}

impl TelemetryOptions {
    /// Takes the port, if anything is to be served there. From now on things are counted.
    pub(crate) async fn listen(&self, mode: &Mode) -> anyhow::Result<Watching> {
        if !self.telemetry {
            return Ok(Watching::nobody());
        }
        let address = SocketAddr::new(self.metrics_bind, self.metrics_port);
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "failed to listen on {address} for metrics; name another port with --metrics-port"
            )
        })?;
        Ok(Watching {
            telemetry: Telemetry::of(mode),
            listener: Some(listener),
        })
    }
}

impl Watching {
    /// One that nobody watches.
    pub(crate) const fn nobody() -> Self {
        Self {
            telemetry: Telemetry::off(),
            listener: None,
        }
    }

    /// Where it is watched, if anywhere.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref()?.local_addr().ok()
    }

    /// Answers for as long as this is awaited.
    pub(crate) async fn serve(self, subject: Arc<dyn Subject>) {
        match self.listener {
            Some(listener) => page::serve(listener, self.telemetry, subject).await,
            None => std::future::pending().await,
        }
    }
}
