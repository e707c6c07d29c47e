//! Whether who answers is the very agent that is asked for: all agents' own ports have one name, so the certificate's
//! owner is looked at too.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error as Broken, RootCertStore, SignatureScheme,
};

use super::error::Error;
use super::identity::{Identity, Serial};
use super::name::{Name, Role};

/// Believes one agent's certificates, and no others of its authority.
#[derive(Debug)]
pub struct Expected {
    name: Name,
    usual: Arc<WebPkiServerVerifier>,
    met: Mutex<Met>,
}

/// Whom it met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Met {
    /// Nobody of the authority.
    #[default]
    Nobody,
    /// The agent, by the certificate with this number.
    Agent(Serial),
    /// Somebody else of the authority.
    Another(Name),
}

impl Expected {
    /// For one connection to an agent of this authority.
    pub fn agent(name: Name, authority: &CertificateDer<'static>) -> Result<Self, Error> {
        let wrong = Error::signing::<String>;
        let mut roots = RootCertStore::empty();
        let added = roots.add(authority.clone());
        added.map_err(|error| wrong("use the authority")(error.to_string()))?;
        let provider = Arc::new(ring::default_provider());
        let usual = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .map_err(|error| wrong("use the authority")(error.to_string()))?;
        Ok(Self {
            name,
            usual,
            met: Mutex::default(),
        })
    }

    /// Whom it met.
    pub fn met(&self) -> Met {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.clone()
    }
}

impl ServerCertVerifier for Expected {
    fn verify_server_cert(
        &self,
        owner: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        answer: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Broken> {
        let verified = self
            .usual
            .verify_server_cert(owner, chain, name, answer, now)?;
        let refused = || Broken::from(CertificateError::ApplicationVerificationFailure);
        let Identity {
            subject, serial, ..
        } = Identity::read(owner).map_err(|_| refused())?;
        let is_it = subject.role == Role::Agent && subject.name == self.name;
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = if is_it {
            Met::Agent(serial)
        } else {
            Met::Another(subject.name)
        };
        if is_it { Ok(verified) } else { Err(refused()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Broken> {
        self.usual
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Broken> {
        self.usual
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
