//! A connection to a master.

use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use super::access::Access;
use super::address::Address;
use super::error::Error;
use crate::pki::credential::{HANDSHAKE, without_certificate};
use crate::pki::pinned::Seen;
use crate::pki::{Digest, MASTER, Pinned, Token};

/// A connection on which every call shows by what right it is made.
pub type Reached = InterceptedService<Channel, Bearer>;

/// Puts an API key into each call, if there is one.
#[derive(Clone, Debug)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    fn key(key: &Token) -> Self {
        let text = format!("Bearer {}", *key.reveal());
        let mut value: MetadataValue<Ascii> = text.parse().expect("keys are ASCII");
        value.set_sensitive(true);
        Self(Some(value))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Connects. A key is sent only to whom it is for.
pub async fn reach(address: &Address, access: &Access) -> Result<Reached, Error> {
    let (channel, bearer) = match access {
        Access::Credential(credential) => (
            secured(address, credential.to_master()).await?,
            Bearer(None),
        ),
        Access::Key(key) => {
            let authority = introduce(address, key.authority()).await?;
            (
                secured(address, without_certificate(&authority)).await?,
                Bearer::key(key),
            )
        }
        Access::Insecure if address.is_loopback() => {
            let endpoint = endpoint(address, "http")?;
            let channel = endpoint
                .connect()
                .await
                .map_err(|error| Error::reaching(address, &error))?;
            (channel, Bearer(None))
        }
        Access::Insecure => return Err(Error::NotLoopback(address.clone())),
    };
    Ok(InterceptedService::new(channel, bearer))
}

/// A connection on which nothing is shown, for what is open to all.
pub fn silent(channel: Channel) -> Reached {
    InterceptedService::new(channel, Bearer(None))
}

/// Gets to know the authority with this fingerprint: a handshake, in which nothing is sent, with whoever answers.
pub(super) async fn introduce(
    address: &Address,
    authority: Digest,
) -> Result<CertificateDer<'static>, Error> {
    let pinned = Arc::new(Pinned::to(authority));
    let tls = ClientTlsConfig::new()
        .domain_name(MASTER)
        .timeout(HANDSHAKE);
    let endpoint = endpoint(address, "https")?.tls_config_with_verifier(tls, pinned.clone());
    let endpoint = endpoint.map_err(|error| Error::reaching(address, &error))?;
    let connected = endpoint.connect().await;
    match (connected, pinned.seen()) {
        (Ok(_), Seen::Authority(authority)) => Ok(authority),
        (Ok(_), Seen::Nothing | Seen::Foreign(_)) => Err(Error::Unreachable {
            address: address.clone(),
            why: "it showed no certificate".to_owned(),
        }),
        (Err(error), seen) => Err(Error::meeting(address, &error, &seen)),
    }
}

pub(super) async fn secured(address: &Address, tls: ClientTlsConfig) -> Result<Channel, Error> {
    let endpoint = endpoint(address, "https")?.tls_config(tls);
    let endpoint = endpoint.map_err(|error| Error::reaching(address, &error))?;
    endpoint
        .connect()
        .await
        .map_err(|error| Error::reaching(address, &error))
}

fn endpoint(address: &Address, scheme: &str) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .map_err(|error| Error::Address(error.to_string()))?;
    Ok(endpoint
        .connect_timeout(HANDSHAKE)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(true))
}
