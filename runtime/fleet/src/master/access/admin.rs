//! The admin's credential, which the master writes for whoever has the account that it runs as.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::enrolment::record;
use super::registrar::{Registrar, Trouble};
use crate::pki::{Authority, Clock, Credential, Error, Issued, Role, Subject};

/// The file in the folder of the authority.
pub const FILE: &str = "admin.pem";

/// Whom it names.
pub(crate) const ADMIN: &str = "admin";

/// How often it is looked at.
const EVERY: Duration = Duration::from_hours(6);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The file, or the signature.
    #[error("failed to write the admin's credential: {0}")]
    Credential(#[from] Error),
    /// The store.
    #[error("failed to keep the admin's certificate: {0}")]
    Store(#[from] Trouble),
}

/// Writes one, unless there is one that is this authority's, is known, and has a third of its time left. Answers
/// whether it wrote one.
pub async fn provide(
    folder: &Path,
    authority: &Arc<Authority>,
    registrar: &dyn Registrar,
    clock: &Clock,
) -> Result<bool, Failed> {
    let path = folder.join(FILE);
    let now = clock.now();
    let there = spawn_blocking({
        let path = path.clone();
        move || Credential::load(&path)
    });
    let there = match there.await.expect("reading a file does not panic") {
        Ok(there) => there,
        // Somebody may have had it, or it is torn: what it spoke for ends, and a new one comes.
        Err(error) => {
            tracing::warn!("{error}; a new one is written");
            None
        }
    };
    if let Some(there) = there
        && there.authority() == authority.fingerprint()
        && now < there.renew_at()
    {
        let known = registrar.certificate(&there.identity().serial).await?;
        if known.is_some_and(|known| !known.revoked) {
            return Ok(false);
        }
    }
    let subject = Subject {
        name: ADMIN.parse()?,
        role: Role::Admin,
    };
    let credential = Credential::signed(authority, &subject, now)?;
    let issued = Issued {
        certificate: credential.certificate().clone(),
        identity: credential.identity().clone(),
    };
    // The store first: a credential that nobody knows helps nobody.
    registrar.keep(record(&issued, String::new())).await?;
    let saved = spawn_blocking(move || credential.save(&path));
    saved.await.expect("writing a file does not panic")?;
    Ok(true)
}

/// Keeps it fresh for as long as this is awaited.
pub async fn keep_fresh(
    folder: &Path,
    authority: &Arc<Authority>,
    registrar: &dyn Registrar,
    clock: &Clock,
) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = provide(folder, authority, registrar, clock).await {
            tracing::error!("{error}");
        }
    }
}
