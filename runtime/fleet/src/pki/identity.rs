//! What a certificate says of its owner.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

use super::error::Error;
use super::name::{Name, Role, Subject};

/// A certificate's number, by which the store knows it: hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Serial(String);

impl Serial {
    pub(super) fn of(bytes: &[u8]) -> Self {
        use std::fmt::Write;
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            write!(text, "{byte:02x}").expect("a String takes every write");
        }
        Self(text)
    }

    /// As it was stored: hexadecimal digits, in lower case.
    pub fn stored(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_digit);
        fits.then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Of whom.
    pub subject: Subject,
    /// Its number.
    pub serial: Serial,
    /// From when on it is true.
    pub begins: SystemTime,
    /// Until when it is true.
    pub expires: SystemTime,
}

impl Identity {
    /// Reads a certificate, which must have exactly one name and one role. Whether it is to be believed is for others
    /// to say.
    pub fn read(der: &[u8]) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Certificate(format!("the certificate {why}"));
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| wrong("cannot be read"))?;
        if !rest.is_empty() {
            return Err(wrong("has something behind its end"));
        }
        if certificate.is_ca() {
            return Err(wrong("is an authority's"));
        }
        let subject = certificate.subject();
        let name =
            only(subject, X509Name::iter_common_name).ok_or_else(|| wrong("has not one name"))?;
        let role = only(subject, X509Name::iter_organizational_unit)
            .ok_or_else(|| wrong("has not one role"))?;
        let validity = certificate.validity();
        Ok(Self {
            subject: Subject {
                name: name.parse::<Name>()?,
                role: role.parse::<Role>()?,
            },
            serial: Serial::of(certificate.raw_serial()),
            begins: moment(validity.not_before.timestamp()),
            expires: moment(validity.not_after.timestamp()),
        })
    }

    /// When a new certificate should be asked for: when two thirds of its time are over.
    pub fn renew_at(&self) -> SystemTime {
        let whole = self.expires.duration_since(self.begins).unwrap_or_default();
        self.begins + whole * 2 / 3
    }
}

fn only<'a, I>(name: &'a X509Name<'a>, parts: impl FnOnce(&'a X509Name<'a>) -> I) -> Option<&'a str>
where
    I: Iterator<Item = &'a x509_parser::x509::AttributeTypeAndValue<'a>>,
{
    let mut parts = parts(name);
    let part = parts.next()?;
    if parts.next().is_some() {
        return None;
    }
    part.as_str().ok()
}

fn moment(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0))
}
