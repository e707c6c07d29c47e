//! Tokens: what joins a machine or a person to the fleet, and keys that are sent with each call. The secrets
//! themselves are kept nowhere.

use std::collections::BTreeMap;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::agents::{self, labels, labels_text};
use super::error::{Error, Failure, TokenRefused};
use super::{Certificate, Store, certificates};
use crate::pki::Role;
use crate::store::file::{milliseconds, moment};

/// A token that is made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// By which it is listed and revoked. Says nothing of the secret.
    pub id: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    pub role: Role,
    pub made: SystemTime,
    pub made_by: String,
    pub expires: SystemTime,
    /// How often it can be spent. A key is not spent.
    pub uses: u32,
    /// Labels of the agents that join with it.
    pub labels: BTreeMap<String, String>,
    /// Selector of the agents that its bearer may reach; empty is all.
    pub scope: String,
    /// Sent with each call, instead of being spent for a certificate.
    pub is_key: bool,
}

/// A token, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: String,
    pub role: Role,
    pub made_by: String,
    pub expires: SystemTime,
    pub uses_left: u32,
    pub labels: BTreeMap<String, String>,
    pub scope: String,
    pub is_key: bool,
}

/// A token with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenState {
    pub token: Token,
    pub revoked: bool,
}

impl Store {
    /// The token or key with this hash, whatever became of it.
    pub async fn token(&self, hash: [u8; 32]) -> Result<Option<TokenState>, Error> {
        self.read("token", move |connection| {
            Ok(connection
                .prepare_cached(&format!("{COLUMNS} WHERE hash = ?1"))?
                .query_row([&hash], state)
                .optional()?)
        })
        .await
    }

    pub async fn add_token(&self, token: NewToken) -> Result<(), Error> {
        self.write("add_token", move |writing| {
            writing
                .connection
                .prepare_cached(
                    "INSERT INTO token (id, hash, role, made, made_by, expires, uses_left, labels, scope, is_key)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    token.id,
                    token.hash,
                    token.role,
                    milliseconds(token.made),
                    token.made_by,
                    milliseconds(token.expires),
                    token.uses,
                    labels_text(&token.labels),
                    token.scope,
                    token.is_key
                ])?;
            Ok(())
        })
        .await
    }

    /// Spends a join token for a certificate, as one: a token that is good once gives one certificate, however many ask
    /// at once, and none where the name is taken.
    pub async fn enrol(
        &self,
        hash: [u8; 32],
        certificate: Certificate,
        now: SystemTime,
    ) -> Result<Token, Error> {
        self.write("enrol", move |writing| {
            let token = spend(writing.connection, &hash, now)?;
            if certificates::live(writing.connection, &certificate.name, now)?.is_some() {
                return Err(Failure::Said(Error::NameTaken(certificate.name.into())));
            }
            certificates::insert(writing.connection, &certificate)?;
            agents::give_labels(writing.connection, &certificate.name, &token.labels)?;
            Ok(token)
        })
        .await
    }

    /// What a join token is good for, without spending it.
    pub async fn join_token(&self, hash: [u8; 32], now: SystemTime) -> Result<Token, Error> {
        self.read("join_token", move |connection| {
            valid(connection, &hash, now, false)
        })
        .await
    }

    /// Whose key this is.
    pub async fn api_key(&self, hash: [u8; 32], now: SystemTime) -> Result<Token, Error> {
        self.read("api_key", move |connection| {
            valid(connection, &hash, now, true)
        })
        .await
    }

    /// Spends a join token once.
    pub async fn spend(&self, hash: [u8; 32], now: SystemTime) -> Result<Token, Error> {
        self.write("spend", move |writing| {
            spend(writing.connection, &hash, now)
        })
        .await
    }

    /// The tokens and keys that are good for anything, the latest first.
    pub async fn tokens(&self, now: SystemTime) -> Result<Vec<Token>, Error> {
        self.read("tokens", move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{COLUMNS} WHERE revoked = 0 AND expires > ?1 AND (uses_left > 0 OR is_key)
                 ORDER BY made DESC, id"
            ))?;
            let tokens = statement.query_map([milliseconds(now)], from_row)?;
            Ok(tokens.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Makes a token or key good for nothing. Certificates that it was spent for stay.
    pub async fn revoke_token(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        self.write("revoke_token", move |writing| {
            let revoked = writing
                .connection
                .prepare_cached("UPDATE token SET revoked = 1 WHERE id = ?1")?
                .execute([&id])?;
            if revoked == 0 {
                return Err(TokenRefused::Unknown.into());
            }
            Ok(())
        })
        .await
    }
}

fn spend(connection: &Connection, hash: &[u8; 32], now: SystemTime) -> Result<Token, Failure> {
    let mut token = valid(connection, hash, now, false)?;
    connection
        .prepare_cached("UPDATE token SET uses_left = uses_left - 1 WHERE hash = ?1")?
        .execute([hash])?;
    token.uses_left -= 1;
    Ok(token)
}

/// The token with this hash, if it is good for what it is brought for.
fn valid(
    connection: &Connection,
    hash: &[u8; 32],
    now: SystemTime,
    as_key: bool,
) -> Result<Token, Failure> {
    let found = connection
        .prepare_cached(&format!("{COLUMNS} WHERE hash = ?1"))?
        .query_row([hash], state)
        .optional()?;
    let Some(TokenState { token, revoked }) = found else {
        return Err(TokenRefused::Unknown.into());
    };
    let refused = match token.is_key {
        true if !as_key => Some(TokenRefused::IsKey),
        false if as_key => Some(TokenRefused::IsToken),
        _ if revoked => Some(TokenRefused::Revoked),
        false if token.uses_left == 0 => Some(TokenRefused::Spent),
        _ if token.expires <= now => Some(TokenRefused::Expired),
        _ => None,
    };
    match refused {
        Some(refused) => Err(refused.into()),
        None => Ok(token),
    }
}

const COLUMNS: &str =
    "SELECT id, role, made_by, expires, uses_left, labels, scope, is_key, revoked FROM token";

fn state(row: &Row<'_>) -> rusqlite::Result<TokenState> {
    Ok(TokenState {
        token: from_row(row)?,
        revoked: row.get(8)?,
    })
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: row.get(0)?,
        role: row.get(1)?,
        made_by: row.get(2)?,
        expires: moment(row.get(3)?),
        uses_left: row.get(4)?,
        labels: labels(&row.get::<_, String>(5)?),
        scope: row.get(6)?,
        is_key: row.get(7)?,
    })
}
