//! How an agent and its master trust each other.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use sloth_fleet::agent::{Agent, Dial, Plain, port};
use sloth_fleet::pki::{Clock, Token};
use sloth_fleet::wire::client::Keeper;
use tokio::net::TcpListener;

/// How the agent is trusted: by a certificate, or by being on the master's own machine.
#[derive(Clone)]
pub(crate) enum Trust {
    Proven(Arc<Keeper>),
    Insecure(Arc<dyn Dial>),
}

/// The file in the data folder that the agent proves its name with.
pub(crate) const CREDENTIAL: &str = "agent.pem";

impl Trust {
    /// By the certificate in a data folder, else by one that a token is spent for.
    pub(crate) async fn join(
        data: &Path,
        master: &str,
        name: &str,
        token: Option<&Token>,
    ) -> anyhow::Result<Self> {
        let (file, address, name) = (data.join(CREDENTIAL), master.parse()?, name.parse()?);
        let keeper = Keeper::join(&file, address, &name, token, Clock::machine());
        Ok(Self::Proven(Arc::new(keeper.await?)))
    }

    /// By nothing but that the master is on this machine.
    pub(crate) fn insecure(master: &str) -> anyhow::Result<Self> {
        let host = master.rsplit_once(':').map(|(host, _)| host);
        let address = host.map(|host| host.trim_matches(['[', ']']).parse::<IpAddr>());
        let here = match address {
            Some(Ok(address)) => address.is_loopback(),
            _ => host == Some("localhost"),
        };
        ensure!(
            here,
            "--insecure is for a master on this very machine, such as 127.0.0.1:50053: between machines anybody \
             could read along and give out work"
        );
        let plain = Plain::to(master).map_err(anyhow::Error::msg)?;
        Ok(Self::Insecure(Arc::new(plain)))
    }

    pub(crate) fn dial(&self) -> Arc<dyn Dial> {
        match self {
            Self::Proven(keeper) => Arc::clone(keeper) as _,
            Self::Insecure(dial) => Arc::clone(dial),
        }
    }

    /// Keeps the certificate good for as long as this is awaited.
    pub(crate) async fn keep(&self) {
        match self {
            Self::Proven(keeper) => keeper.keep().await,
            Self::Insecure(_) => std::future::pending().await,
        }
    }

    /// Answers on the agent's own port.
    pub(crate) async fn serve(&self, agent: Agent, listener: TcpListener) -> Result<(), String> {
        match self {
            Self::Proven(keeper) => port::serve_proving(agent, listener, keeper.watch()).await,
            Self::Insecure(_) => port::serve(agent, listener, None).await,
        }
    }
}
