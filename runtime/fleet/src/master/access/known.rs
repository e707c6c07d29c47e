//! The store as what is known of tokens and certificates.

use std::sync::Arc;
use std::time::SystemTime;

use super::registrar::{CertificateRecord, Refusal, Registrar, TokenRecord, Trouble};
use crate::pki::{Digest, Kind, Name, Serial, Subject};
use crate::store::master::{Certificate, Error, NewToken, Store, Token, TokenRefused, TokenState};

/// The store, asked about trust.
pub(crate) struct Known(pub(crate) Arc<Store>);

#[tonic::async_trait]
impl Registrar for Known {
    async fn certificate(&self, serial: &Serial) -> Result<Option<CertificateRecord>, Trouble> {
        let found = self.0.certificate(serial.as_str()).await.map_err(trouble)?;
        found.map(|found| certificate(found, serial)).transpose()
    }

    async fn token(&self, digest: &Digest) -> Result<Option<TokenRecord>, Trouble> {
        let found = self.0.token(*digest.bytes()).await.map_err(trouble)?;
        Ok(found.map(|TokenState { token, revoked }| record(token, *digest, revoked)))
    }

    async fn admit(
        &self,
        token: &Digest,
        certificate: CertificateRecord,
        now: SystemTime,
    ) -> Result<Result<(), Refusal>, Trouble> {
        let refused = match self.0.enrol(*token.bytes(), kept(certificate), now).await {
            Ok(_) => return Ok(Ok(())),
            Err(Error::NameTaken(_)) => Refusal::Taken,
            Err(Error::Token(refused)) => match refused {
                TokenRefused::Unknown | TokenRefused::IsKey | TokenRefused::IsToken => {
                    Refusal::Unknown
                }
                TokenRefused::Expired => Refusal::Expired,
                TokenRefused::Revoked => Refusal::Revoked,
                TokenRefused::Spent => Refusal::Spent,
            },
            Err(error) => return Err(trouble(error)),
        };
        Ok(Err(refused))
    }

    async fn succeed(
        &self,
        before: &Serial,
        certificate: CertificateRecord,
    ) -> Result<bool, Trouble> {
        let kept = kept(certificate);
        self.0.succeed(before.as_str(), kept).await.map_err(trouble)
    }

    async fn keep(&self, certificate: CertificateRecord) -> Result<(), Trouble> {
        self.0
            .add_certificate(kept(certificate))
            .await
            .map_err(trouble)
    }

    async fn revoke_name(&self, name: &Name) -> Result<Vec<Serial>, Trouble> {
        let now = SystemTime::now();
        let serials = self.0.revoke_certificates(name.as_str(), now).await;
        serials
            .map_err(trouble)?
            .iter()
            .map(|serial| read(serial))
            .collect()
    }

    async fn make(&self, token: TokenRecord) -> Result<(), Trouble> {
        let new = NewToken {
            id: token.id,
            hash: *token.digest.bytes(),
            role: token.role,
            made: SystemTime::now(),
            made_by: token.made_by,
            expires: token.expires,
            uses: token.uses_left,
            labels: token.labels,
            scope: token.scope,
            is_key: token.kind == Kind::Key,
        };
        self.0.add_token(new).await.map_err(trouble)
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, Trouble> {
        let tokens = self.0.tokens(SystemTime::now()).await.map_err(trouble)?;
        // Only those that are good for something are listed, and nobody looks one up by what is listed.
        let listed = |token| record(token, Digest::from_bytes([0; 32]), false);
        Ok(tokens.into_iter().map(listed).collect())
    }

    async fn revoke_token(&self, id: &str) -> Result<bool, Trouble> {
        match self.0.revoke_token(id).await {
            Ok(()) => Ok(true),
            Err(Error::Token(TokenRefused::Unknown)) => Ok(false),
            Err(error) => Err(trouble(error)),
        }
    }
}

fn certificate(found: Certificate, serial: &Serial) -> Result<CertificateRecord, Trouble> {
    let name = found.name.parse::<Name>();
    Ok(CertificateRecord {
        serial: serial.clone(),
        subject: Subject {
            name: name.map_err(|error| Trouble(error.to_string()))?,
            role: found.role,
        },
        scope: found.scope,
        issued: found.issued,
        expires: found.expires,
        revoked: found.revoked.is_some(),
    })
}

fn kept(certificate: CertificateRecord) -> Certificate {
    Certificate {
        serial: certificate.serial.as_str().to_owned(),
        name: certificate.subject.name.as_str().to_owned(),
        role: certificate.subject.role,
        scope: certificate.scope,
        issued: certificate.issued,
        expires: certificate.expires,
        revoked: None,
    }
}

fn record(token: Token, digest: Digest, revoked: bool) -> TokenRecord {
    TokenRecord {
        id: token.id,
        kind: if token.is_key { Kind::Key } else { Kind::Join },
        digest,
        role: token.role,
        expires: token.expires,
        uses_left: token.uses_left,
        labels: token.labels,
        scope: token.scope,
        made_by: token.made_by,
        revoked,
    }
}

/// A serial number as the store gives it back.
pub(crate) fn read(serial: &str) -> Result<Serial, Trouble> {
    Serial::stored(serial)
        .ok_or_else(|| Trouble(format!("the store has the serial number {serial:?}")))
}

fn trouble(error: Error) -> Trouble {
    Trouble(error.to_string())
}
