//! How a machine, or a person, gets a certificate: with a token the first time, and with the certificate from then on.

use std::sync::Arc;

use tonic::{Response, Status};

use super::admin::ADMIN;
use super::caller::Caller;
use super::registrar::{CertificateRecord, Refusal, Registrar, TokenRecord};
use crate::pki::token::digest_of;
use crate::pki::{self, Authority, Clock, Issued, Kind, Name, Request, Subject};
use crate::wire::generated::enrolment_server;
use crate::wire::generated::{Certificate, EnrolRequest, RenewRequest};

/// Names that nobody gets for a token: whom the master makes a certificate for itself, and what servers are called.
const RESERVED: [&str; 3] = [ADMIN, pki::MASTER, pki::AGENT];

/// The service.
#[derive(Clone)]
pub struct Enrolment {
    /// Who signs.
    pub authority: Arc<Authority>,
    /// What is known of tokens and certificates.
    pub registrar: Arc<dyn Registrar>,
    /// The time of day.
    pub clock: Clock,
}

#[tonic::async_trait]
impl enrolment_server::Enrolment for Enrolment {
    async fn enrol(
        &self,
        request: tonic::Request<EnrolRequest>,
    ) -> Result<Response<Certificate>, Status> {
        let EnrolRequest {
            token,
            name,
            request,
        } = request.into_inner();
        let admitted = self.admit(&token, &name, &request).await;
        match &admitted {
            Ok((subject, _)) => {
                tracing::info!(target: "audit", name = %subject.name, role = %subject.role, "a token was spent for a certificate");
            }
            Err(status) => {
                let name: String = name.chars().take(80).collect();
                tracing::warn!(target: "audit", ?name, "a token is refused: {}", status.message());
            }
        }
        admitted.map(|(_, certificate)| Response::new(certificate))
    }

    async fn renew(
        &self,
        request: tonic::Request<RenewRequest>,
    ) -> Result<Response<Certificate>, Status> {
        let caller = Caller::of(&request)?;
        let before = caller
            .serial()
            .ok_or_else(|| Status::permission_denied("only a certificate is renewed"))?;
        let subject = Subject {
            name: caller.name.parse().map_err(refused)?,
            role: caller.role,
        };
        let issued = self.sign(&request.get_ref().request, &subject)?;
        let record = record(&issued, caller.scope.clone());
        if !self.registrar.succeed(before, record).await? {
            return Err(Status::unauthenticated("the certificate was revoked"));
        }
        tracing::info!(target: "audit", name = %subject.name, role = %subject.role, "a certificate was renewed");
        Ok(Response::new(self.answer(&issued)))
    }
}

impl Enrolment {
    async fn admit(
        &self,
        token: &str,
        name: &str,
        request: &[u8],
    ) -> Result<(Subject, Certificate), Status> {
        let now = self.clock.now();
        let digest = digest_of(token).ok_or_else(|| told(Refusal::Unknown, name))?;
        let known = self.registrar.token(&digest).await?;
        // Whoever has no token learns nothing else.
        let known = known.ok_or_else(|| told(Refusal::Unknown, name))?;
        usable(&known, now).map_err(|refusal| told(refusal, name))?;
        let name: Name = name.parse().map_err(refused)?;
        if RESERVED.contains(&name.as_str()) {
            return Err(Status::invalid_argument(format!(
                "`{name}` is a name of the master's own; choose another name"
            )));
        }
        let subject = Subject {
            name,
            role: known.role,
        };
        let issued = self.sign(request, &subject)?;
        let admitted = self
            .registrar
            .admit(&digest, record(&issued, known.scope), now)
            .await?;
        admitted.map_err(|refusal| told(refusal, subject.name.as_str()))?;
        Ok((subject, self.answer(&issued)))
    }

    fn sign(&self, request: &[u8], subject: &Subject) -> Result<Issued, Status> {
        let request = Request::read(request).map_err(refused)?;
        self.authority
            .certify(&request, subject, self.clock.now())
            .map_err(|error| {
                tracing::error!("{error}");
                Status::internal("the certificate could not be signed; the master's log says why")
            })
    }

    fn answer(&self, issued: &Issued) -> Certificate {
        Certificate {
            certificate: issued.certificate.to_vec(),
            authority: self.authority.certificate().to_vec(),
            expires: Some(issued.identity.expires.into()),
        }
    }
}

/// What the store keeps of a certificate.
pub(crate) fn record(issued: &Issued, scope: String) -> CertificateRecord {
    let identity = &issued.identity;
    CertificateRecord {
        serial: identity.serial.clone(),
        subject: identity.subject.clone(),
        scope,
        issued: identity.begins,
        expires: identity.expires,
        revoked: false,
    }
}

/// Whether a token can be spent at a moment.
fn usable(token: &TokenRecord, now: std::time::SystemTime) -> Result<(), Refusal> {
    match token {
        TokenRecord {
            kind: Kind::Key, ..
        } => Err(Refusal::Unknown),
        TokenRecord { revoked: true, .. } => Err(Refusal::Revoked),
        token if token.expires <= now => Err(Refusal::Expired),
        TokenRecord { uses_left: 0, .. } => Err(Refusal::Spent),
        _ => Ok(()),
    }
}

fn told(refusal: Refusal, name: &str) -> Status {
    let another = "make another with sloth-runner token create";
    match refusal {
        Refusal::Unknown => {
            Status::unauthenticated(format!("the join token is not known here; {another}"))
        }
        Refusal::Expired => {
            Status::unauthenticated(format!("the join token has run out; {another}"))
        }
        Refusal::Revoked => {
            Status::unauthenticated(format!("the join token was revoked; {another}"))
        }
        Refusal::Spent => Status::unauthenticated(format!("the join token is spent; {another}")),
        Refusal::Taken => Status::already_exists(format!(
            "somebody called {name} has a certificate that is good still, and nobody else gets the name; choose another, \
             or free it with sloth-runner agent remove {name}"
        )),
    }
}

fn refused(error: pki::Error) -> Status {
    Status::invalid_argument(error.to_string())
}
