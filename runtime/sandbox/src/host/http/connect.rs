//! From a URL to a connection: resolve, check every address, connect to one that was checked, and trust
//! whom it leads to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sloth_policy::network::is_special;
use sloth_policy::{Decision, Effective, Host, Peer, Url};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::here::is_here;
use super::{Failure, Fetching, failed};
use crate::node::Web;

/// Most addresses of a host that are tried.
const MOST_TRIED: usize = 4;

/// How the requests of a node reach and trust others. One for all steps; it keeps no connection.
pub(crate) struct Client {
    web: Web,
    trust: OnceCell<TlsConnector>,
}

/// A connection, secure or not.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

impl Client {
    pub(crate) fn new(web: Web) -> Self {
        Self {
            web,
            trust: OnceCell::new(),
        }
    }

    /// How long connecting may take, and for how long an answer may stall.
    pub(super) fn patience(&self) -> Duration {
        self.web.patience
    }

    /// Connects to the URL's host, if its addresses are granted. Of a name that has several, only those
    /// that are granted are used. Gives the host as well, if it needed a grant of its addresses.
    pub(super) async fn connect(
        &self,
        url: &Url,
        grants: &Effective,
    ) -> Fetching<(Box<dyn Connection>, Option<String>)> {
        let connecting = async {
            let addresses = permitted(url, &self.resolve(url).await?, grants)?;
            let stream = self.reach(url, &addresses).await?;
            let reached = stream.peer_addr().map(|peer| peer.ip());
            let special = reached
                .is_ok_and(|reached| is_special(reached) || is_here(reached))
                .then(|| match url.host() {
                    Host::Name(name) => name.clone(),
                    Host::Address(address) => address.to_string(),
                });
            let connection = if url.is_secure() {
                self.secure(url, stream).await?
            } else {
                Box::new(stream)
            };
            Ok((connection, special))
        };
        match timeout(self.web.patience, connecting).await {
            Ok(connected) => connected,
            Err(_) => failed(format!(
                "connecting to {} took longer than {:?}",
                url.authority(),
                self.web.patience
            )),
        }
    }

    async fn resolve(&self, url: &Url) -> Fetching<Vec<IpAddr>> {
        let name = match url.host() {
            Host::Address(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        if let Some(known) = self.web.hosts.get(name) {
            return Ok(known.clone());
        }
        match tokio::net::lookup_host((name.as_str(), url.port())).await {
            Ok(found) => Ok(found.map(|address| address.ip()).collect()),
            // The reason would say more of the node's resolver than of the name.
            Err(_) => failed(format!("the name {name} has no address")),
        }
    }

    /// The first address that answers.
    async fn reach(&self, url: &Url, addresses: &[IpAddr]) -> Fetching<TcpStream> {
        let mut problem = "it has no address".to_owned();
        for address in addresses.iter().take(MOST_TRIED) {
            let socket = SocketAddr::new(*address, url.port());
            let share = self.web.patience / 2;
            match timeout(share, TcpStream::connect(socket)).await {
                Ok(Ok(stream)) => {
                    // Small requests go out at once; that they cannot is no reason not to send them.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => problem = error.to_string().to_lowercase(),
                Err(_) => problem = format!("no answer within {share:?}"),
            }
        }
        let problem = problem.split(" (os error").next().unwrap_or_default();
        failed(format!(
            "failed to connect to {}: {problem}",
            url.authority()
        ))
    }

    async fn secure(&self, url: &Url, stream: TcpStream) -> Fetching<Box<dyn Connection>> {
        let name = match url.host() {
            Host::Name(name) => ServerName::try_from(name.clone()),
            Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        };
        let Ok(name) = name else {
            return failed(format!("{} is no name that a certificate has", url.host()));
        };
        let trust = self.trust.get_or_try_init(|| self.load()).await?;
        match trust.connect(name, stream).await {
            Ok(secured) => Ok(Box::new(secured)),
            Err(error) => failed(format!(
                "failed to trust {}: {}",
                url.authority(),
                sloth_workflow::text::Untrusted::new(error.to_string()).escaped()
            )),
        }
    }

    /// Reads the certificates that the system trusts, once.
    async fn load(&self) -> Fetching<TlsConnector> {
        let own = self.web.roots.clone();
        let load = move || {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots.add_parsable_certificates(own.into_iter().map(CertificateDer::from));
            roots
        };
        let roots = match tokio::task::spawn_blocking(load).await {
            Ok(roots) if !roots.is_empty() => roots,
            _ => {
                return failed(
                    "no certificates are trusted on this node; install its package of them (often \
                     ca-certificates), or name a file in SSL_CERT_FILE where the runner is started",
                );
            }
        };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions();
        let Ok(config) = config else {
            return failed("this program knows no version of TLS");
        };
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // One step's connections tell a server nothing of another's.
        config.resumption = Resumption::disabled();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// The addresses that may be connected to. When none may, the refusal names the host as it was asked for
/// and not what it resolved to.
fn permitted(url: &Url, found: &[IpAddr], grants: &Effective) -> Fetching<Vec<IpAddr>> {
    let mut refused = None;
    let mut addresses = Vec::with_capacity(found.len());
    for address in found.iter().map(IpAddr::to_canonical) {
        let peer = Peer {
            url,
            address: Some(address),
            here: is_here(address),
        };
        match grants.peer(peer) {
            Decision::Allowed => addresses.push(address),
            Decision::Refused(layer) => refused = refused.or(Some(layer)),
        }
    }
    match refused {
        Some(layer) if addresses.is_empty() => {
            Err(Failure::Denied(Box::new(grants.peer_denial(url, layer))))
        }
        _ => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use sloth_policy::Policy;

    use super::*;

    fn allowed(policy: &str, found: &[&str]) -> Fetching<Vec<String>> {
        let policy = Policy::parse(&format!("version = 1\n{policy}"), "policy.toml").unwrap();
        let grants = Effective::new(&policy, "", &[], Vec::new());
        let url = Url::parse("http://both.example/").unwrap();
        let found: Vec<IpAddr> = found.iter().map(|text| text.parse().unwrap()).collect();
        let addresses = permitted(&url, &found, &grants)?;
        Ok(addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn of_a_name_with_several_addresses_only_granted_ones_are_used() {
        let both = ["10.0.0.1", "::ffff:127.0.0.1", "192.0.43.8", "fe80::1"];
        assert_eq!(allowed("", &both).unwrap(), ["192.0.43.8"]);
        let ten = "http.addresses = ['10.0.0.0/8']";
        assert_eq!(allowed(ten, &both).unwrap(), ["10.0.0.1", "192.0.43.8"]);
        let name = "http.addresses = ['both.example']\n[deny]\nhttp.addresses = ['fe80::/10', '192.0.43.0/24']";
        assert_eq!(allowed(name, &both).unwrap(), ["10.0.0.1", "127.0.0.1"]);
    }

    #[test]
    fn a_refusal_names_the_host_and_not_its_address() {
        let Err(Failure::Denied(denial)) = allowed("", &["10.1.2.3"]) else {
            panic!("it is not denied");
        };
        assert_eq!(
            denial.message,
            "http.addresses is not granted for both.example (policy); to allow it: [http] \
             addresses = [\"both.example\"]"
        );
    }
}
