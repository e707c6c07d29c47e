//! What a peer sent and what makes no sense.

use sloth_workflow::{Untrusted, cbor};

/// Why a message of the contract is not what it should be. Whoever sent it has a defect, or means harm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field that there is no sense without.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A number of an enum that is none of those this program knows.
    #[error("{what} has the value {number}, which this version does not know: bring it up to date")]
    Unknown { what: &'static str, number: i32 },
    /// A policy key that there is not.
    #[error("`{}` is not a capability that this version knows: bring it up to date", .0.escaped())]
    Capability(Untrusted),
    /// CBOR that is none, or that holds too much.
    #[error("{what}: {error}")]
    Data {
        what: &'static str,
        error: cbor::Error,
    },
    /// CBOR of something else than a map.
    #[error("{what}: {kind}, not a map")]
    NotMap {
        what: &'static str,
        kind: &'static str,
    },
    /// A moment or a length of time that cannot be.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// A digest that is not `sha256:` and 64 lower-case hexadecimal digits.
    #[error("`{}` is not a digest: sha256: and 64 hexadecimal digits", .0.escaped())]
    Digest(Untrusted),
    /// Bytes that are no message of the contract.
    #[error("{what} cannot be read: {error}")]
    Bytes {
        what: &'static str,
        error: prost::DecodeError,
    },
}
