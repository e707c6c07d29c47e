//! What a machine or a person keeps: a certificate, its key, and the authority that both ends trust. One file.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{KeyPair, PublicKeyData};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tonic::transport::{Certificate, ClientTlsConfig, Identity as Pair, ServerTlsConfig};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::authority::{Authority, Issued};
use super::digest::Digest;
use super::error::Error;
use super::folder::{self, There};
use super::identity::Identity;
use super::name::Subject;
use super::request::{Fresh, Request};
use super::{AGENT, MASTER, armour};

/// How long the beginning of a connection may take.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// A certificate, its key, and the authority that signed it.
#[derive(Clone)]
pub struct Credential {
    certificate: CertificateDer<'static>,
    key: Zeroizing<Vec<u8>>,
    authority: CertificateDer<'static>,
    identity: Identity,
}

impl Credential {
    /// Puts together what belongs together, and refuses what does not.
    pub fn new(
        certificate: Vec<u8>,
        key: Zeroizing<Vec<u8>>,
        authority: Vec<u8>,
    ) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Certificate(format!("the credential {why}"));
        let identity = Identity::read(&certificate)?;
        let (_, owner) =
            X509Certificate::from_der(&certificate).map_err(|_| wrong("cannot be read"))?;
        let (_, signer) = X509Certificate::from_der(&authority)
            .map_err(|_| wrong("has no authority that can be read"))?;
        let pair =
            KeyPair::try_from(&key[..]).map_err(|_| wrong("has a key that cannot be read"))?;
        if pair.subject_public_key_info() != owner.public_key().raw {
            return Err(wrong("has a key that is not that of its certificate"));
        }
        if !signer.is_ca() || owner.verify_signature(Some(signer.public_key())).is_err() {
            return Err(wrong("has an authority that did not sign its certificate"));
        }
        Ok(Self {
            certificate: certificate.into(),
            key,
            authority: authority.into(),
            identity,
        })
    }

    /// One that the authority makes itself, with a key drawn here: the admin's at the first start.
    pub fn signed(
        authority: &Authority,
        subject: &Subject,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let fresh = Fresh::draw()?;
        let Issued { certificate, .. } =
            authority.certify(&Request::read(&fresh.request)?, subject, now)?;
        Self::new(
            certificate.to_vec(),
            fresh.key,
            authority.certificate().to_vec(),
        )
    }

    /// The one that follows, of the same authority.
    pub fn renewed(&self, certificate: Vec<u8>, key: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        Self::new(certificate, key, self.authority.to_vec())
    }

    /// Reads a file that nobody but its owner can read; none if it is not there.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        let Some(text) = folder::read(path)? else {
            return Ok(None);
        };
        let damaged = |why: String| Error::Damaged {
            path: path.to_owned(),
            what: "a credential",
            why,
        };
        let blocks = armour::read(&text).map_err(damaged)?;
        let key = blocks
            .key
            .ok_or_else(|| damaged("it has no key".to_owned()))?;
        let [certificate, authority] =
            <[Vec<u8>; 2]>::try_from(blocks.certificates).map_err(|_| {
                damaged("it has not two certificates, the owner's and the authority's".to_owned())
            })?;
        let credential = Self::new(certificate, key, authority);
        credential
            .map(Some)
            .map_err(|error| damaged(error.to_string()))
    }

    /// Writes it, readable by its owner alone, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let (pair, key) = self.pair();
        let mut text = Zeroizing::new(pair);
        text.push_str(&key);
        text.push_str(&armour::wrap("CERTIFICATE", &self.authority));
        folder::write(path, &text, There::Replace).map(|_| ())
    }

    /// Of whom it speaks.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its certificate, DER.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The authority's certificate, DER.
    pub const fn signer(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    /// The authority's fingerprint.
    pub fn authority(&self) -> Digest {
        Digest::of(&self.authority)
    }

    /// Until when it is good.
    pub const fn expires(&self) -> SystemTime {
        self.identity.expires
    }

    /// When it should be renewed.
    pub fn renew_at(&self) -> SystemTime {
        self.identity.renew_at()
    }

    /// Refuses one that has run out, saying what to do.
    pub fn still_good(&self, now: SystemTime) -> Result<(), Error> {
        if now < self.expires() {
            return Ok(());
        }
        let Subject { name, role } = &self.identity.subject;
        let remedy = match role {
            super::Role::Agent => format!(
                "make a token with sloth-runner token create --role agent, and start the agent with --token (its name \
                 {name} is free)"
            ),
            super::Role::Admin => "start the master, which writes a new one".to_owned(),
            role => format!(
                "ask for a token (sloth-runner token create --role {role}), and run sloth-runner login"
            ),
        };
        Err(Error::Certificate(format!(
            "the certificate of {name} has run out, and is not renewed any more; {remedy}"
        )))
    }

    /// How to reach the master: with this certificate, and trusting no authority but ours.
    pub fn to_master(&self) -> ClientTlsConfig {
        self.client(MASTER)
    }

    /// How to reach an agent's own port.
    pub fn to_agent(&self) -> ClientTlsConfig {
        self.client(AGENT)
    }

    /// How to reach an agent's own port where somebody else judges who answers.
    pub fn to_expected(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .domain_name(AGENT)
            .identity(self.identity_pair())
            .timeout(HANDSHAKE)
    }

    /// How an agent serves its own port: for nobody without a certificate of our authority.
    pub fn own_port(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(self.identity_pair())
            .client_ca_root(self.root())
            .timeout(HANDSHAKE)
    }

    fn client(&self, name: &str) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .domain_name(name)
            .ca_certificate(self.root())
            .identity(self.identity_pair())
            .timeout(HANDSHAKE)
    }

    fn root(&self) -> Certificate {
        root(&self.authority)
    }

    fn identity_pair(&self) -> Pair {
        let (certificate, key) = self.pair();
        Pair::from_pem(certificate, key.as_bytes())
    }

    fn pair(&self) -> (String, Zeroizing<String>) {
        let certificate = armour::wrap("CERTIFICATE", &self.certificate).to_string();
        (certificate, armour::wrap("PRIVATE KEY", &self.key))
    }
}

/// How to reach a master of which the authority is known, and to which there is no certificate.
pub fn without_certificate(authority: &CertificateDer<'_>) -> ClientTlsConfig {
    ClientTlsConfig::new()
        .domain_name(MASTER)
        .ca_certificate(root(authority))
        .timeout(HANDSHAKE)
}

fn root(authority: &CertificateDer<'_>) -> Certificate {
    Certificate::from_pem(armour::wrap("CERTIFICATE", authority).as_bytes())
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { name, role } = &self.identity.subject;
        write!(formatter, "Credential({role} {name}, …)")
    }
}
