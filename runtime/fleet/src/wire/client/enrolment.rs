//! How a machine, or a person, gets a certificate.

use std::time::Duration;

use super::address::Address;
use super::error::Error;
use super::reach::{introduce, secured};
use crate::pki::credential::without_certificate;
use crate::pki::request::Fresh;
use crate::pki::{Credential, Name, Role, Token};
use crate::wire::generated::enrolment_client::EnrolmentClient;
use crate::wire::generated::{Certificate, EnrolRequest, RenewRequest};

/// How long an answer may take: the master writes to its disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// Spends a token for a certificate. The token is sent to nobody but the master that it is for.
pub async fn enrol(address: &Address, token: &Token, name: &Name) -> Result<Credential, Error> {
    let fresh = Fresh::draw()?;
    let authority = introduce(address, token.authority()).await?;
    let channel = secured(address, without_certificate(&authority)).await?;
    let mut request = tonic::Request::new(EnrolRequest {
        token: token.secret().to_string(),
        name: name.to_string(),
        request: fresh.request,
    });
    request.set_timeout(PATIENCE);
    let Certificate { certificate, .. } = EnrolmentClient::new(channel)
        .enrol(request)
        .await?
        .into_inner();
    let credential = Credential::new(certificate, fresh.key, authority.to_vec())?;
    let got = &credential.identity().subject.name;
    if got != name {
        return Err(Error::Answer(format!(
            "the master at {address} gave a certificate for {got} instead of {name}"
        )));
    }
    Ok(credential)
}

/// As `enrol`, for an agent: a token that makes something else of its holder is of no use to it.
pub async fn enrol_agent(
    address: &Address,
    token: &Token,
    name: &Name,
) -> Result<Credential, Error> {
    let credential = enrol(address, token, name).await?;
    let role = credential.identity().subject.role;
    if role == Role::Agent {
        return Ok(credential);
    }
    Err(Error::Answer(format!(
        "the token makes a person with the role {role} of its holder, and no agent; make one with sloth-runner token \
         create --role agent"
    )))
}

/// A new certificate with a new key, by the right of the old one.
pub async fn renew(address: &Address, before: &Credential) -> Result<Credential, Error> {
    let fresh = Fresh::draw()?;
    let channel = secured(address, before.to_master()).await?;
    let mut request = tonic::Request::new(RenewRequest {
        request: fresh.request,
    });
    request.set_timeout(PATIENCE);
    let answer = EnrolmentClient::new(channel)
        .renew(request)
        .await?
        .into_inner();
    let credential = before.renewed(answer.certificate, fresh.key)?;
    if credential.identity().subject != before.identity().subject {
        return Err(Error::Answer(format!(
            "the master at {address} gave a certificate for somebody else"
        )));
    }
    Ok(credential)
}
