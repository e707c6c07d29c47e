//! Who sends contents now: so many at once for each, and nobody without end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, Streaming};

use crate::wire::generated::Piece;

/// Most contents that one caller sends at once.
const AT_ONCE: usize = 16;
/// How long the next piece may take to come.
const PIECE: Duration = Duration::from_secs(30);

/// The uploads of each caller. A fleet has so many names and no more.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<HashMap<String, Arc<Semaphore>>>);

impl Uploads {
    /// A place among those of this caller, once there is one.
    pub(crate) async fn place(&self, caller: &str) -> Option<OwnedSemaphorePermit> {
        self.places(caller).acquire_owned().await.ok()
    }

    /// A place, if there is one: what waits with its content unread holds up all else that its connection carries, an
    /// agent's signs of life among it.
    pub(crate) fn place_now(&self, caller: &str) -> Result<OwnedSemaphorePermit, Status> {
        self.places(caller)
            .try_acquire_owned()
            .map_err(|_| Status::unavailable(format!("{AT_ONCE} contents come already: try again")))
    }

    fn places(&self, caller: &str) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let places = all.entry(caller.to_owned());
        Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
    }
}

/// The next piece; none at the end.
pub(crate) async fn next(pieces: &mut Streaming<Piece>) -> Result<Option<Piece>, Status> {
    let next = tokio::time::timeout(PIECE, pieces.message()).await;
    next.map_err(|_| Status::deadline_exceeded(format!("no piece came for {} s", PIECE.as_secs())))?
}
