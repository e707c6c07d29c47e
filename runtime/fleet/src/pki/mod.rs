//! Who is who: the authority that a master makes at its first start, the certificates that it signs, the tokens that
//! new machines bring, and the credential that a machine keeps.
//!
//! Reading order: [`name`] and [`token`] (what people type) → [`digest`] (fingerprints) → [`request`] (what is asked
//! to be signed) → [`identity`] (what a certificate says) → [`authority`] (who signs) → [`credential`] (what is kept)
//! → [`pinned`] (a first connection, to an authority of which no more than the fingerprint is known) → [`expected`]
//! (a connection to one agent) → [`moment`] (clocks) → [`armour`] and [`folder`] (text and files).

pub mod armour;
pub mod authority;
pub mod credential;
pub mod digest;
pub mod error;
pub mod expected;
pub mod folder;
pub mod identity;
pub mod moment;
pub mod name;
pub mod pinned;
pub mod request;
pub mod server;
pub mod token;

pub use authority::{Authority, Issued};
pub use credential::Credential;
pub use digest::Digest;
pub use error::Error;
pub use expected::Expected;
pub use identity::{Identity, Serial};
pub use moment::Clock;
pub use name::{Name, Role, Subject};
pub use pinned::Pinned;
pub use request::Request;
pub use token::{Kind, Token};

/// The name in the certificate of every master, whatever its addresses are: a certificate is trusted for its
/// authority, which is the master's own.
pub const MASTER: &str = "sloth-master";

/// The name in the certificate of every agent's own port.
pub const AGENT: &str = "sloth-agent";
