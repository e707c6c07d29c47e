//! How an agent comes by its certificate and keeps it good.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tonic::transport::Channel;

use super::address::Address;
use super::enrolment::{enrol_agent, renew};
use super::error::Error;
use super::reach::secured;
use crate::pki::{self, Clock, Credential, Name, Token};

/// The longest that is slept at once, so that a clock that was set is noticed.
const NAP: Duration = Duration::from_hours(1);

/// Keeps an agent's credential, in a file of its own.
#[derive(Debug)]
pub struct Keeper {
    path: PathBuf,
    address: Address,
    clock: Clock,
    current: watch::Sender<Credential>,
}

impl Keeper {
    /// The credential in the file, if it is good; else a new one for the token, which is then written there. A token
    /// beside a good credential of the same authority is not looked at, since most likely it was spent for that one.
    pub async fn join(
        path: &Path,
        address: Address,
        name: &Name,
        token: Option<&Token>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let there = load(path.to_owned()).await?;
        let there = there.filter(|there| {
            token.is_none_or(|token| {
                token.authority() == there.authority() && there.still_good(clock.now()).is_ok()
            })
        });
        let credential = match (there, token) {
            (Some(there), _) => there,
            (None, Some(token)) => {
                let credential = enrol_agent(&address, token, name).await?;
                save(path.to_owned(), credential.clone()).await?;
                credential
            }
            (None, None) => {
                return Err(Error::NoAccess(format!(
                    "the agent has no certificate ({} is not there) and no token; make one with sloth-runner token create \
                     --role agent, and give it with --token-file",
                    path.display()
                )));
            }
        };
        let identity = credential.identity();
        if identity.subject.name != *name || identity.subject.role != pki::Role::Agent {
            return Err(Error::Answer(format!(
                "{} is the certificate of the {} {}, and not of the agent {name}; use that name, or another data folder",
                path.display(),
                identity.subject.role,
                identity.subject.name
            )));
        }
        credential.still_good(clock.now())?;
        Ok(Self {
            path: path.to_owned(),
            address,
            clock,
            current: watch::Sender::new(credential),
        })
    }

    /// The credential, and each that follows it.
    pub fn watch(&self) -> watch::Receiver<Credential> {
        self.current.subscribe()
    }

    /// A connection with the credential as it is now.
    pub async fn dial(&self) -> Result<Channel, Error> {
        let credential = self.current.borrow().clone();
        credential.still_good(self.clock.now())?;
        secured(&self.address, credential.to_master()).await
    }

    /// Renews the credential in time, for as long as this is awaited. What fails is tried again: a third of the time is
    /// left for that.
    pub async fn keep(&self) {
        let mut pause = Duration::from_secs(30);
        loop {
            let left = self.clock.until(self.current.borrow().renew_at());
            if !left.is_zero() {
                sleep(left.min(NAP)).await;
                continue;
            }
            match self.renew().await {
                Ok(()) => pause = Duration::from_secs(30),
                Err(error) => {
                    let expires = self.current.borrow().still_good(self.clock.now());
                    match expires {
                        Ok(()) => tracing::warn!(
                            "failed to renew the certificate, and trying again: {error}"
                        ),
                        Err(over) => tracing::error!("{over}"),
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(NAP);
                }
            }
        }
    }

    /// Renews it now.
    pub async fn renew(&self) -> Result<(), Error> {
        let before = self.current.borrow().clone();
        before.still_good(self.clock.now())?;
        let credential = renew(&self.address, &before).await?;
        save(self.path.clone(), credential.clone()).await?;
        tracing::info!("the certificate was renewed");
        self.current.send_replace(credential);
        Ok(())
    }
}

async fn load(path: PathBuf) -> Result<Option<Credential>, pki::Error> {
    let loaded = spawn_blocking(move || Credential::load(&path)).await;
    loaded.expect("reading a file does not panic")
}

async fn save(path: PathBuf, credential: Credential) -> Result<(), pki::Error> {
    let saved = spawn_blocking(move || credential.save(&path)).await;
    saved.expect("writing a file does not panic")
}
