//! The master's port: TLS, who comes in, and which services are behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;

use super::allowlist;
use super::guard::{Guard, Post};
use super::limits::Limits;
use super::listener;
use super::registrar::Registrar;
use super::revocations::Revocations;
use crate::pki::{self, Authority, Clock};
use crate::telemetry::{Counting, Telemetry};

/// Most bytes of one stream that nobody has read yet.
const STREAM: u32 = 512 << 10;
/// The same of a whole connection: what some streams leave unread holds up no other, above all no sign of life. An
/// agent sends 16 contents at once (`uploads`) and its deliveries.
const CONNECTION: u32 = 24 * STREAM;

/// How a port is kept.
#[derive(Clone, Debug)]
pub enum Security {
    /// With TLS.
    Tls {
        /// Who signs, and whose certificates come in.
        authority: Arc<Authority>,
        /// Names of the server, besides the one that all masters have.
        names: Vec<String>,
    },
    /// Open to whoever reaches it, as an admin. On loopback only.
    Insecure,
}

/// Why the doors do not open.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// Whoever reaches the port would be an admin.
    #[error(
        "--insecure is for loopback only: on {0} everybody who reaches the port could run whatever the agents allow; \
         bind to 127.0.0.1, or leave --insecure out"
    )]
    NotLoopback(SocketAddr),
    /// The authority, or one of the names.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] pki::Error),
    /// The port.
    #[error("failed to serve the master's port: {0}")]
    Port(String),
}

/// A port that is about to be served.
pub struct Doors {
    /// Where connections come in.
    pub listener: TcpListener,
    /// How it is kept.
    pub security: Security,
    /// What is known of those who come.
    pub registrar: Arc<dyn Registrar>,
    /// Who is put out.
    pub revocations: Revocations,
    /// How much they may take.
    pub limits: Limits,
    /// The time of day.
    pub clock: Clock,
    /// Where calls are counted.
    pub telemetry: Telemetry,
}

impl Doors {
    /// Serves until `stop` is there, and calls that run for a moment longer.
    pub async fn serve(
        self,
        routes: Routes,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), Closed> {
        let failed = |error: &dyn std::error::Error| Closed::Port(error.to_string());
        let address = self.listener.local_addr().map_err(|error| failed(&error))?;
        let (tls, authority) = match &self.security {
            Security::Tls { authority, names } => {
                let config = pki::server::config(authority.clone(), names, self.clock.clone())?;
                (
                    Some(TlsAcceptor::from(Arc::new(config))),
                    Some(authority.fingerprint()),
                )
            }
            Security::Insecure if address.ip().is_loopback() => (None, None),
            Security::Insecure => return Err(Closed::NotLoopback(address)),
        };
        let post = Arc::new(Post {
            registrar: self.registrar,
            revocations: self.revocations,
            clock: self.clock,
            authority,
        });
        let guard = Guard {
            routes: routes.prepare(),
            post: post.clone(),
        };
        let guard = Counting::before(guard, self.telemetry, allowlist::method);
        let (out, connections) = mpsc::channel(64);
        let accepting = tokio::spawn(listener::accept(self.listener, tls, self.limits, post, out));
        let (stopping, stopped) = oneshot::channel::<()>();
        let serving = Server::builder()
            .max_concurrent_streams(self.limits.streams)
            .initial_stream_window_size(Some(STREAM))
            .initial_connection_window_size(Some(CONNECTION))
            .concurrency_limit_per_connection(self.limits.streams as usize)
            .http2_max_header_list_size(16 * 1024)
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            .serve_with_incoming_shutdown(
                guard,
                ReceiverStream::new(connections).map(Ok::<_, std::io::Error>),
                async {
                    stop.await;
                    let _ = stopping.send(());
                },
            );
        // Streams have no end of their own, and a master that stops does not wait for ever.
        let farewell = async {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(self.limits.farewell).await;
        };
        let served = tokio::select! {
            served = serving => served.map_err(|error| failed(&error)),
            () = farewell => Ok(()),
        };
        accepting.abort();
        served
    }
}
