//! By what right a person reaches a master: the first of what there is.

use std::path::PathBuf;
use std::time::SystemTime;

use super::error::Error;
use crate::pki::{Credential, Kind, Token};

/// What is shown to a master.
#[derive(Clone, Debug)]
pub enum Access {
    /// A certificate.
    Credential(Box<Credential>),
    /// An API key.
    Key(Token),
    /// Nothing, to one that asks for nothing.
    Insecure,
}

/// Where to look, in this order.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The file that was named.
    pub named: Option<PathBuf>,
    /// What `SLOTH_RUNNER_API_KEY` says.
    pub key: Option<String>,
    /// The one that login writes.
    pub own: Option<PathBuf>,
    /// The one that a master on this machine writes.
    pub admin: Option<PathBuf>,
}

impl Places {
    /// The first that is there. One that is there and is no good ends the search: another would be somebody else.
    pub fn find(self, now: SystemTime) -> Result<Access, Error> {
        if let Some(path) = self.named {
            let credential = Credential::load(&path)?;
            let credential = credential.ok_or_else(|| {
                Error::NoAccess(format!(
                    "the credential {} is not there; write one with sloth-runner login",
                    path.display()
                ))
            })?;
            return Self::good(credential, now);
        }
        if let Some(key) = self.key {
            return Ok(Access::Key(Token::parse(&key, Kind::Key)?));
        }
        let mut tried = Vec::new();
        for path in [self.own, self.admin].into_iter().flatten() {
            match Credential::load(&path) {
                Ok(Some(credential)) => return Self::good(credential, now),
                Ok(None) => tried.push(format!("{} is not there", path.display())),
                Err(error) if error.is_forbidden() => {
                    tried.push(format!("{} is not for this user", path.display()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::NoAccess(format!(
            "there is no credential for the master: --credential names none, SLOTH_RUNNER_API_KEY is not set{}{}; log in \
             with sloth-runner login --master HOST:PORT --token-file FILE, or run this on the master's machine as the \
             master's user",
            if tried.is_empty() { "" } else { ", " },
            tried.join(", ")
        )))
    }

    fn good(credential: Credential, now: SystemTime) -> Result<Access, Error> {
        credential.still_good(now)?;
        Ok(Access::Credential(Box::new(credential)))
    }
}
