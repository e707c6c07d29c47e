//! Whether an agent answers on its own port: a TLS handshake in which it proves its name, one question after its
//! health, and nothing more, whoever answers.

use std::error::Error as Cause;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_rustls::rustls;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::address::Address;
use crate::pki::expected::Met;
use crate::pki::{Credential, Expected, Name, Serial};

/// How long all of it may take: less than a handshake alone elsewhere, since nobody waits for it.
const WHOLE: Duration = Duration::from_secs(8);

/// Largest answer that is taken in: it says one word.
const LARGEST: usize = 1024;

/// Asks an agent after its health. Gives the number of the certificate that it showed, or why it was not reached.
pub async fn probe(
    address: &Address,
    name: &Name,
    credential: &Credential,
) -> Result<Serial, String> {
    let asked = timeout(WHOLE, ask(address, name, credential)).await;
    asked.unwrap_or_else(|_| Err("it did not answer in time".to_owned()))
}

async fn ask(address: &Address, name: &Name, credential: &Credential) -> Result<Serial, String> {
    let expected = Expected::agent(name.clone(), credential.signer());
    let expected = Arc::new(expected.map_err(|error| error.to_string())?);
    let endpoint = Endpoint::from_shared(format!("https://{address}"))
        .and_then(|endpoint| {
            endpoint
                .connect_timeout(WHOLE)
                .tls_config_with_verifier(credential.to_expected(), expected.clone())
        })
        .map_err(|error| error.to_string())?;
    let connected = endpoint.connect().await;
    let channel = connected.map_err(|error| failed(&error, &expected.met()))?;
    let Met::Agent(serial) = expected.met() else {
        return Err("it showed no certificate".to_owned());
    };
    let mut health = HealthClient::new(channel).max_decoding_message_size(LARGEST);
    let answer = health.check(HealthCheckRequest::default()).await;
    let answer = answer.map_err(|status| format!("it refused to tell its health: {status}"))?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(serial),
        _ => Err("it says that it is not well".to_owned()),
    }
}

/// The first cause, in words.
fn failed(error: &(dyn Cause + 'static), met: &Met) -> String {
    if let Met::Another(name) = met {
        return format!("it is not the agent that answers there, but {name}");
    }
    let mut cause = error;
    loop {
        let io = cause.downcast_ref::<io::Error>();
        let within = io.and_then(io::Error::get_ref);
        let tls = within.and_then(|within| within.downcast_ref::<rustls::Error>());
        if let Some(tls) = tls.or_else(|| cause.downcast_ref()) {
            return format!("what answers there is no agent of this fleet ({tls})");
        }
        let Some(deeper) = cause.source() else {
            return match io.map(io::Error::kind) {
                Some(io::ErrorKind::ConnectionRefused) => "nobody listens there".to_owned(),
                Some(io::ErrorKind::TimedOut) => "it did not answer in time".to_owned(),
                _ => cause.to_string(),
            };
        };
        cause = deeper;
    }
}
