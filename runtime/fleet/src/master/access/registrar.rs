//! What the master's store knows of tokens and certificates. The store implements this.

use std::collections::BTreeMap;
use std::time::SystemTime;

use tonic::Status;

use crate::pki::{Digest, Kind, Name, Role, Serial, Subject};

/// The store failed. Its words are for the log, not for whoever asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl From<Trouble> for Status {
    fn from(trouble: Trouble) -> Self {
        tracing::error!("the store cannot answer about tokens and certificates: {trouble}");
        Self::unavailable("the master's store cannot answer now; its log says why")
    }
}

/// A join token or an API key, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// By which people name it.
    pub id: String,
    /// What it is for.
    pub kind: Kind,
    /// SHA-256 of its secret, which is kept nowhere.
    pub digest: Digest,
    /// What its holder becomes.
    pub role: Role,
    /// Until when it is good.
    pub expires: SystemTime,
    /// How often it can be spent yet. Keys are not spent.
    pub uses_left: u32,
    /// Labels of the agents that join with it.
    pub labels: BTreeMap<String, String>,
    /// Selector of the agents that people who hold it may reach; empty is all.
    pub scope: String,
    /// Who made it.
    pub made_by: String,
    /// Whether it was called back.
    pub revoked: bool,
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Its number.
    pub serial: Serial,
    /// Of whom.
    pub subject: Subject,
    /// What a person may reach; empty is all.
    pub scope: String,
    /// From when.
    pub issued: SystemTime,
    /// Until when.
    pub expires: SystemTime,
    /// Whether it was called back.
    pub revoked: bool,
}

/// Why nobody is admitted with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such token.
    Unknown,
    /// It is good no more.
    Expired,
    /// It was called back.
    Revoked,
    /// It was spent as often as it can be.
    Spent,
    /// A certificate of the name is good still.
    Taken,
}

/// What is known of tokens and certificates. Every change is kept for good before the answer is given.
#[tonic::async_trait]
pub trait Registrar: Send + Sync + 'static {
    /// A certificate by its number.
    async fn certificate(&self, serial: &Serial) -> Result<Option<CertificateRecord>, Trouble>;

    /// A token or key by the SHA-256 of its secret.
    async fn token(&self, digest: &Digest) -> Result<Option<TokenRecord>, Trouble>;

    /// Spends a join token for a certificate, both or neither: of several who try at once, as many get in as the token
    /// has uses. Refused when a certificate of the name is good still at `now`. The token's labels become the agent's.
    async fn admit(
        &self,
        token: &Digest,
        certificate: CertificateRecord,
        now: SystemTime,
    ) -> Result<Result<(), Refusal>, Trouble>;

    /// Keeps the certificate that follows another, unless the other has been revoked. Answers whether it was kept.
    async fn succeed(
        &self,
        before: &Serial,
        certificate: CertificateRecord,
    ) -> Result<bool, Trouble>;

    /// Keeps a certificate that the master made for itself.
    async fn keep(&self, certificate: CertificateRecord) -> Result<(), Trouble>;

    /// Revokes all certificates of a name, and answers their numbers.
    async fn revoke_name(&self, name: &Name) -> Result<Vec<Serial>, Trouble>;

    /// Keeps a new token or key.
    async fn make(&self, token: TokenRecord) -> Result<(), Trouble>;

    /// All tokens and keys, the latest first.
    async fn tokens(&self) -> Result<Vec<TokenRecord>, Trouble>;

    /// Revokes a token or key. Answers whether there is one of this id.
    async fn revoke_token(&self, id: &str) -> Result<bool, Trouble>;
}
