//! A first connection, made with no more than an authority's fingerprint: whoever answers must show a certificate of
//! that authority, or nothing is sent at all.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::digest::Digest;

/// Believes certificates of one authority, which it knows by its fingerprint and gets to know in the handshake.
#[derive(Debug)]
pub struct Pinned {
    authority: Digest,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Seen>,
}

/// Whom it met.
#[derive(Clone, Debug, Default)]
pub enum Seen {
    /// Nobody yet.
    #[default]
    Nothing,
    /// Somebody of the authority, whose certificate this is.
    Authority(CertificateDer<'static>),
    /// Somebody of another authority; the fingerprint of what it showed last.
    Foreign(Digest),
}

impl Pinned {
    /// For one connection.
    pub fn to(authority: Digest) -> Self {
        Self {
            authority,
            provider: Arc::new(ring::default_provider()),
            seen: Mutex::new(Seen::Nothing),
        }
    }

    /// Whom it met.
    pub fn seen(&self) -> Seen {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn met(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        owner: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        answer: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = chain
            .iter()
            .find(|certificate| Digest::of(certificate) == self.authority)
        else {
            self.met(Seen::Foreign(Digest::of(chain.last().unwrap_or(owner))));
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        let authority = authority.clone().into_owned();
        // From here on it is an authority like any other: name, time and use must be right as well.
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        let usual =
            WebPkiServerVerifier::builder_with_provider(roots.into(), self.provider.clone())
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
        let verified = usual.verify_server_cert(owner, chain, name, answer, now)?;
        self.met(Seen::Authority(authority));
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
