//! What can go wrong on the way to a master, and what to do.

use std::error::Error as Cause;
use std::io;

use tokio_rustls::rustls::{self, AlertDescription, CertificateError};
use tonic::{Code, Status};

use super::address::Address;
use crate::pki;
use crate::pki::pinned::Seen;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an address.
    #[error("{0}")]
    Address(String),
    /// Nothing to show.
    #[error("{0}")]
    NoAccess(String),
    /// A name, a token, a certificate or a file.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// Nobody answers, or not as a master does.
    #[error("failed to reach the master at {address}: {why}")]
    Unreachable {
        /// Where.
        address: Address,
        /// What happened, and what to do.
        why: String,
    },
    /// Plain text would go over a network.
    #[error("--insecure is for loopback only, and {0} is another machine; leave it out")]
    NotLoopback(Address),
    /// The master refuses.
    #[error("the master refuses: {}", .0.message())]
    Refused(Box<Status>),
    /// What the master gave is not what was asked for.
    #[error("{0}")]
    Answer(String),
}

impl Error {
    /// Whether the master was not reached, so that a later attempt may succeed.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(status) => status.code() == Code::Unavailable,
            _ => false,
        }
    }

    /// Whether an agent that was named is not known to the master.
    pub fn is_unknown_target(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::NotFound)
    }

    /// Whether whoever asked may not.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Refused(status) if matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated))
    }

    /// Whether what was asked for makes no sense, here or there.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Address(_) | Self::NoAccess(_) | Self::Pki(_) | Self::NotLoopback(_) => true,
            Self::Refused(status) => status.code() == Code::InvalidArgument,
            Self::Unreachable { .. } | Self::Answer(_) => false,
        }
    }

    pub(super) fn reaching(address: &Address, error: &(dyn Cause + 'static)) -> Self {
        Self::Unreachable {
            address: address.clone(),
            why: explain(error),
        }
    }

    /// A first connection that failed, and whom it met.
    pub(super) fn meeting(address: &Address, error: &(dyn Cause + 'static), seen: &Seen) -> Self {
        let Seen::Foreign(authority) = seen else {
            return Self::reaching(address, error);
        };
        Self::Unreachable {
            address: address.clone(),
            why: format!(
                "whoever answers there is of another authority ({authority}) than the token or key is for; nothing was \
                 sent. Either the address is another master's, or somebody stands in between"
            ),
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// The first cause, in words that say what to do.
fn explain(error: &(dyn Cause + 'static)) -> String {
    let mut cause = error;
    loop {
        if let Some(tls) = tls(cause) {
            return secured(tls);
        }
        match cause.source() {
            Some(deeper) => cause = deeper,
            None => break,
        }
    }
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        return match io.kind() {
            io::ErrorKind::ConnectionRefused => {
                "nobody listens there; is the master running, and is this its port?".to_owned()
            }
            io::ErrorKind::TimedOut => "it did not answer in time".to_owned(),
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => {
                "it hung up; is it a master, and does it use TLS?".to_owned()
            }
            _ => io.to_string(),
        };
    }
    cause.to_string()
}

fn tls<'a>(cause: &'a (dyn Cause + 'static)) -> Option<&'a rustls::Error> {
    let within = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    within
        .and_then(|within| within.downcast_ref())
        .or_else(|| cause.downcast_ref())
}

fn secured(error: &rustls::Error) -> String {
    let told = match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "its certificate is of another authority than ours. Either it is another master, or it was set up anew and \
             one has to join anew, or somebody stands in between"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "its certificate is not good at this time; are the clocks of both machines right?",
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "whoever answers there is of our authority, but no master; an agent perhaps",
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "our certificate has run out by the master's clock; join or log in anew"
        }
        rustls::Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::BadCertificate,
        ) => "it does not know the authority of our certificate; join or log in anew",
        rustls::Error::InvalidMessage(_) => "it does not speak TLS; does it run with --insecure?",
        other => return other.to_string(),
    };
    told.to_owned()
}
