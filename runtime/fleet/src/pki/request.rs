//! What is asked to be signed: a key, and the proof that whoever asks has it.

use rcgen::{CertificateParams, KeyPair, SubjectPublicKeyInfo};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use super::error::Error;

/// More than any request for the keys that are taken.
const LONGEST: usize = 8 * 1024;

/// A key that was asked to be certified. Whatever else the request said is forgotten.
#[derive(Debug)]
pub struct Request {
    pub(super) key: SubjectPublicKeyInfo,
}

impl Request {
    /// Reads a PKCS #10 request. Names, extensions and whatever else it asks for are neither looked at nor refused:
    /// the authority says what a certificate says.
    pub fn read(der: &[u8]) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Certificate(format!("the request for a certificate {why}"));
        if der.len() > LONGEST {
            return Err(wrong("is too long"));
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| wrong("cannot be read"))?;
        if !rest.is_empty() {
            return Err(wrong("has something behind its end"));
        }
        request
            .verify_signature()
            .map_err(|_| wrong("is not signed by the key it asks for"))?;
        let key = request.certification_request_info.subject_pki.raw;
        let key = SubjectPublicKeyInfo::from_der(key)
            .map_err(|_| wrong("asks for a key of a kind that is not taken"))?;
        Ok(Self { key })
    }
}

/// A fresh key, and the request for its certificate. The key leaves this machine in neither.
pub struct Fresh {
    /// PKCS #8, DER.
    pub key: Zeroizing<Vec<u8>>,
    /// PKCS #10, DER.
    pub request: Vec<u8>,
}

impl Fresh {
    /// Draws a key.
    pub fn draw() -> Result<Self, Error> {
        let pair = KeyPair::generate().map_err(Error::signing("draw a key"))?;
        let mut asked = CertificateParams::default();
        asked.distinguished_name = rcgen::DistinguishedName::new();
        let request = asked
            .serialize_request(&pair)
            .map_err(Error::signing("ask for a certificate"))?;
        Ok(Self {
            key: Zeroizing::new(pair.serialize_der()),
            request: request.der().to_vec(),
        })
    }
}
