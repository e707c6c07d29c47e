//! Connections that read beside the writer. A few of them, each used by one reader at a time, off the threads that
//! must not wait.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::{Error, Failure};
use crate::store::file::File;

/// Most readers at once.
const READERS: usize = 4;

pub(super) struct Readers {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
}

struct Shared {
    file: Arc<File>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn of(file: Arc<File>) -> Self {
        Self {
            shared: Arc::new(Shared {
                file,
                idle: Mutex::default(),
            }),
            places: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Reads: everything that `act` looks at is of one moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        name: &'static str,
        act: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let places = Arc::clone(&self.places);
        let place = places
            .acquire_owned()
            .await
            .map_err(|_| Error::Defect(name))?;
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || {
            let _place = place;
            shared.read(act)
        });
        read.await.unwrap_or(Err(Error::Defect(name)))
    }
}

impl Shared {
    fn read<T>(&self, act: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Error> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.file.open()?,
        };
        let said = |failure| match failure {
            Failure::Said(error) => error,
            Failure::Sql(error) => Error::Unusable(self.file.problem(&error)),
        };
        // A connection that failed is closed: the next reader gets a fresh one.
        let read = || -> Result<T, Failure> {
            let transaction = connection.unchecked_transaction()?;
            let read = act(&transaction)?;
            transaction.rollback()?;
            Ok(read)
        };
        let read = read().map_err(said)?;
        self.idle().push(connection);
        Ok(read)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
