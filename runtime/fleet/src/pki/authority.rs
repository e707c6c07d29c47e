//! The authority: made at a master's first start, and asked for every certificate of its fleet.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::digest::Digest;
use super::error::Error;
use super::folder::{self, There};
use super::identity::{Identity, Serial};
use super::moment::random;
use super::name::{Role, Subject};
use super::request::Request;
use super::{AGENT, armour};

const DAY: Duration = Duration::from_hours(24);

/// How long a certificate is good for.
pub const LIFE: Duration = Duration::from_hours(90 * 24);

/// How long the authority is. Tokens and credentials name it, and so it is not replaced by itself.
const OWN_LIFE: Duration = Duration::from_hours(20 * 365 * 24);

/// Clocks of machines that have just come up may be behind.
const BACKDATED: Duration = Duration::from_hours(1);

/// Signs certificates.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    expires: SystemTime,
}

/// A certificate that was signed.
#[derive(Clone, Debug)]
pub struct Issued {
    /// DER.
    pub certificate: CertificateDer<'static>,
    /// What it says.
    pub identity: Identity,
}

impl Authority {
    /// The authority of a folder, which is made if it has none.
    pub fn in_folder(folder: &Path, now: SystemTime) -> Result<Self, Error> {
        folder::close(folder)?;
        let path = folder.join("authority.pem");
        if folder::read(&path)?.is_none() {
            // Should another have been quicker, its authority is the one.
            folder::write(&path, &fresh(now)?, There::Keep)?;
        }
        let damaged = |why: String| Error::Damaged {
            path: path.clone(),
            what: "an authority's certificate and key",
            why,
        };
        let text = folder::read(&path)?.ok_or_else(|| damaged("it went away".to_owned()))?;
        let authority = Self::parse(&text).map_err(damaged)?;
        if authority.expires <= now {
            return Err(Error::Certificate(format!(
                "the authority in {} has run out, and with it all that it signed; move the folder away and let \
                 every machine join anew",
                path.display()
            )));
        }
        // For programs of others, which want the certificate alone.
        let public = folder.join("authority.crt");
        folder::write(
            &public,
            &armour::wrap("CERTIFICATE", &authority.certificate),
            There::Replace,
        )?;
        Ok(authority)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let blocks = armour::read(text)?;
        let [certificate] = <[Vec<u8>; 1]>::try_from(blocks.certificates)
            .map_err(|_| "it has not one certificate".to_owned())?;
        let key = blocks.key.ok_or("it has no key")?;
        let key = KeyPair::try_from(&key[..]).map_err(|error| error.to_string())?;
        let (_, read) =
            X509Certificate::from_der(&certificate).map_err(|error| error.to_string())?;
        if !read.is_ca() {
            return Err("the certificate is not an authority's".to_owned());
        }
        if read.public_key().raw != key.subject_public_key_info() {
            return Err("the key is not that of the certificate".to_owned());
        }
        let seconds = u64::try_from(read.validity().not_after.timestamp()).unwrap_or(0);
        let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let certificate = CertificateDer::from(certificate);
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|error| error.to_string())?;
        Ok(Self {
            certificate,
            issuer,
            expires,
        })
    }

    /// Its certificate, DER.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// By which tokens name it.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.certificate)
    }

    /// Certifies a key. From the request comes the key and nothing else.
    pub fn certify(
        &self,
        request: &Request,
        subject: &Subject,
        now: SystemTime,
    ) -> Result<Issued, Error> {
        self.sign(&request.key, subject, now)
    }

    pub(super) fn sign(
        &self,
        key: &impl PublicKeyData,
        subject: &Subject,
        now: SystemTime,
    ) -> Result<Issued, Error> {
        let mut told = self.life(now, LIFE)?;
        told.distinguished_name = distinguished(subject.name.as_str());
        told.distinguished_name
            .push(DnType::OrganizationalUnitName, subject.role.as_str());
        told.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if subject.role == Role::Agent {
            // For the agent's own port.
            told.extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
            told.subject_alt_names = vec![dns(AGENT)?];
        }
        let certificate = told
            .signed_by(key, &self.issuer)
            .map_err(Error::signing("sign a certificate"))?;
        let identity = Identity::read(certificate.der())?;
        Ok(Issued {
            certificate: certificate.into(),
            identity,
        })
    }

    /// A certificate for a server of these names.
    pub(super) fn sign_server(
        &self,
        key: &impl PublicKeyData,
        names: &[SanType],
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, Error> {
        let mut told = self.life(now, LIFE)?;
        told.distinguished_name = distinguished(super::MASTER);
        told.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        told.subject_alt_names = names.to_vec();
        let signed = told
            .signed_by(key, &self.issuer)
            .map_err(Error::signing("sign a certificate"))?;
        Ok(signed.into())
    }

    /// What all certificates have: a number nobody can foretell, and a time that ends no later than the authority's.
    fn life(&self, now: SystemTime, life: Duration) -> Result<CertificateParams, Error> {
        let mut told = CertificateParams::default();
        told.not_before = (now - BACKDATED).into();
        told.not_after = (now + life).min(self.expires).into();
        told.serial_number = Some(serial()?);
        told.is_ca = IsCa::ExplicitNoCa;
        told.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        told.use_authority_key_identifier_extension = true;
        Ok(told)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Authority({})", self.fingerprint())
    }
}

/// A name as certificates carry it.
pub(super) fn dns(name: &str) -> Result<SanType, Error> {
    let written = name
        .try_into()
        .map_err(|_| Error::Name(format!("`{}` is no name of a server", name.escape_debug())))?;
    Ok(SanType::DnsName(written))
}

/// A new authority: its certificate and its key.
fn fresh(now: SystemTime) -> Result<Zeroizing<String>, Error> {
    let key = KeyPair::generate().map_err(Error::signing("draw a key"))?;
    let number = serial()?;
    let mut told = CertificateParams::default();
    told.not_before = (now - DAY).into();
    told.not_after = (now + OWN_LIFE).into();
    // Two authorities never have one name, or a certificate of the one could be looked for under the other.
    told.distinguished_name = distinguished(&format!(
        "sloth-runner {}",
        Serial::of(&number.to_bytes()[..4])
    ));
    told.serial_number = Some(number);
    told.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    told.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let certificate = told
        .self_signed(&key)
        .map_err(Error::signing("sign the authority's certificate"))?;
    let mut text = armour::wrap("CERTIFICATE", certificate.der());
    text.push_str(&armour::wrap(
        "PRIVATE KEY",
        &Zeroizing::new(key.serialize_der()),
    ));
    Ok(text)
}

fn distinguished(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// 126 random bits. The first byte is neither nothing nor negative, so that the number is written as it is.
fn serial() -> Result<SerialNumber, Error> {
    let mut bytes = random::<16>()?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
