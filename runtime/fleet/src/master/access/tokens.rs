//! Join tokens and API keys: made, listed, revoked. The `Fleet` service hands its calls on to here.

use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use super::caller::{Caller, Proof};
use super::registrar::{Registrar, TokenRecord};
use super::revocations::Revocations;
use crate::pki::{Clock, Digest, Kind, Role, Token};
use crate::wire::generated::{
    CreateTokenRequest, CreateTokenResponse, ListTokensResponse, RevokeTokenRequest,
    RevokeTokenResponse, TokenInfo,
};
use crate::wire::role;

const HOUR: Duration = Duration::from_hours(1);

/// A join token lies about until it is spent.
const LONGEST_JOIN: Duration = Duration::from_hours(30 * 24);
/// A key is used all the time, and so is noticed when it is gone.
const LONGEST_KEY: Duration = Duration::from_hours(366 * 24);
/// Machines that join with one token.
const MOST_USES: u32 = 10_000;
const MOST_LABELS: usize = 64;
const LONGEST_TEXT: usize = 1024;

/// Holds a selector against what selectors are; the error says what is wrong.
pub type Selectors = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Makes, lists and revokes tokens.
#[derive(Clone)]
pub struct Tokens {
    /// Whose fingerprint tokens carry.
    pub authority: Digest,
    /// Where they are kept.
    pub registrar: Arc<dyn Registrar>,
    /// Who is put out when a key is revoked.
    pub revocations: Revocations,
    /// The time of day.
    pub clock: Clock,
    /// What a scope must be.
    pub selectors: Selectors,
}

impl Tokens {
    /// Makes one. The answer is the only place where it can be seen.
    pub async fn create(
        &self,
        caller: &Caller,
        request: CreateTokenRequest,
    ) -> Result<CreateTokenResponse, Status> {
        let record = self.plan(caller, request)?;
        let token = Token::draw(record.kind, self.authority).map_err(internal)?;
        let id = Token::draw(record.kind, self.authority).map_err(internal)?;
        let record = TokenRecord {
            // Another's secret would do no harm as an id, and this one is nobody's.
            id: id.digest().to_string()[..12].to_owned(),
            digest: token.digest(),
            ..record
        };
        self.registrar.make(record.clone()).await?;
        tracing::info!(
            target: "audit",
            id = record.id, role = %record.role, by = record.made_by, key = record.kind == Kind::Key,
            "a token was made"
        );
        Ok(CreateTokenResponse {
            token: token.reveal().to_string(),
            info: Some(info(record)),
        })
    }

    /// What there is, the latest first.
    pub async fn list(&self) -> Result<ListTokensResponse, Status> {
        let tokens = self.registrar.tokens().await?;
        let now = self.clock.now();
        let living = |token: &TokenRecord| {
            !token.revoked
                && token.expires > now
                && (token.kind == Kind::Key || token.uses_left > 0)
        };
        Ok(ListTokensResponse {
            tokens: tokens.into_iter().filter(living).map(info).collect(),
        })
    }

    /// Revokes one, and ends whatever goes on in the name of a key.
    pub async fn revoke(
        &self,
        caller: &Caller,
        request: RevokeTokenRequest,
    ) -> Result<RevokeTokenResponse, Status> {
        if !self.registrar.revoke_token(&request.id).await? {
            let id: String = request.id.chars().take(80).collect();
            return Err(Status::not_found(format!(
                "there is no token with the id `{}`; sloth-runner token list shows those there are",
                id.escape_debug()
            )));
        }
        tracing::info!(target: "audit", id = request.id, by = caller.name, "a token was revoked");
        self.revocations.revoke([Proof::Key(request.id)]);
        Ok(RevokeTokenResponse {})
    }

    /// What is asked for, if it makes sense.
    fn plan(&self, caller: &Caller, request: CreateTokenRequest) -> Result<TokenRecord, Status> {
        let wrong = |why: &str| Err(Status::invalid_argument(why.to_owned()));
        let role = role::from_wire(request.role())
            .ok_or_else(|| Status::invalid_argument("the token has no role"))?;
        let kind = if request.key { Kind::Key } else { Kind::Join };
        let (longest, days) = match kind {
            Kind::Join => (LONGEST_JOIN, 30),
            Kind::Key => (LONGEST_KEY, 366),
        };
        let ttl = Duration::from_secs(request.ttl_s);
        let ttl = if ttl.is_zero() { HOUR } else { ttl };
        let long = request
            .labels
            .iter()
            .any(|(key, value)| key.len() > 63 || value.len() > 255);
        match role {
            Role::Admin => {
                return wrong(
                    "no token makes an admin: an admin is whoever can read the master's own admin.pem",
                );
            }
            Role::Agent if kind == Kind::Key => {
                return wrong("an agent has a certificate and no API key; leave --key out");
            }
            Role::Agent if !request.scope.is_empty() => {
                return wrong("an agent reaches no others, and has no scope");
            }
            Role::Viewer | Role::Operator if !request.labels.is_empty() => {
                return wrong("labels are for agents; people have a scope");
            }
            _ if ttl > longest => {
                return Err(Status::invalid_argument(format!(
                    "the longest time for {} is {days} days",
                    kind.as_str()
                )));
            }
            _ if kind == Kind::Key && request.uses > 1 => {
                return wrong("an API key is not used up; leave the number of uses out");
            }
            _ if request.uses > MOST_USES => return wrong("a join token has at most 10000 uses"),
            _ if long || request.labels.len() > MOST_LABELS || request.labels.contains_key("") => {
                return wrong(
                    "there are at most 64 labels; a key has 1 to 63 bytes, and a value at most 255",
                );
            }
            _ if request.scope.len() > LONGEST_TEXT => {
                return wrong("a scope has at most 1024 bytes");
            }
            _ => {}
        }
        if !request.scope.is_empty() {
            (self.selectors)(&request.scope).map_err(Status::invalid_argument)?;
        }
        Ok(TokenRecord {
            id: String::new(),
            kind,
            digest: Digest::from_bytes([0; 32]),
            role,
            expires: self.clock.now() + ttl,
            uses_left: request.uses.max(1),
            labels: request.labels.into_iter().collect(),
            scope: request.scope,
            made_by: caller.name.clone(),
            revoked: false,
        })
    }
}

fn internal(error: crate::pki::Error) -> Status {
    tracing::error!("{error}");
    Status::internal("the token could not be made; the master's log says why")
}

fn info(token: TokenRecord) -> TokenInfo {
    TokenInfo {
        id: token.id,
        role: role::to_wire(token.role).into(),
        expires: Some(token.expires.into()),
        uses_left: if token.kind == Kind::Key {
            0
        } else {
            token.uses_left
        },
        labels: token.labels.into_iter().collect(),
        scope: token.scope,
        key: token.kind == Kind::Key,
        made_by: token.made_by,
    }
}
