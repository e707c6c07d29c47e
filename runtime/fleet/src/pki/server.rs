//! The master's own certificate: drawn when it starts, kept in memory only, and renewed by itself.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rcgen::{KeyPair, SanType};
use tokio_rustls::rustls::crypto::ring::{default_provider, sign::any_supported_type};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::MASTER;
use super::authority::{Authority, LIFE, dns};
use super::error::Error;
use super::moment::Clock;

/// Answers each handshake with a certificate that is good for a while.
struct Own {
    authority: Arc<Authority>,
    names: Vec<SanType>,
    clock: Clock,
    current: Mutex<Option<(SystemTime, Arc<CertifiedKey>)>>,
}

impl Own {
    /// The current certificate, or a new one with a new key when two thirds of its time are over.
    fn current(&self) -> Result<Arc<CertifiedKey>, Error> {
        let now = self.clock.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((renew_at, certified)) = &*current
            && now < *renew_at
        {
            return Ok(certified.clone());
        }
        let key = KeyPair::generate().map_err(Error::signing("draw a key"))?;
        let certificate = self.authority.sign_server(&key, &self.names, now)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = any_supported_type(&key).map_err(Error::signing("use a key"))?;
        // Whoever knows the authority by its fingerprint only has to see it.
        let chain = vec![certificate, self.authority.certificate().clone()];
        let certified = Arc::new(CertifiedKey::new(chain, key));
        *current = Some((now + LIFE * 2 / 3, certified.clone()));
        Ok(certified)
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Own")
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self.current() {
            Ok(certified) => Some(certified),
            Err(error) => {
                tracing::error!("failed to renew the master's certificate: {error}");
                None
            }
        }
    }
}

/// How a master serves. Certificates of clients are optional, since a token is spent without one; those that are
/// shown must be the authority's and in their time.
pub fn config(
    authority: Arc<Authority>,
    names: &[String],
    clock: Clock,
) -> Result<ServerConfig, Error> {
    let mut known = vec![dns(MASTER)?];
    for name in names {
        known.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => dns(name)?,
        });
    }
    let wrong = Error::signing::<String>;
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    let added = roots.add(authority.certificate().clone());
    added.map_err(|error| wrong("use the authority")(error.to_string()))?;
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| wrong("use the authority")(error.to_string()))?;
    let own = Own {
        authority,
        names: known,
        clock: clock.clone(),
        current: Mutex::new(None),
    };
    // What is wrong with it is told now, and not at the first handshake.
    own.current()?;
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(clock))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("set up TLS")(error.to_string()))?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(own));
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
