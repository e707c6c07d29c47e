//! The node's own database: one file that only its owner reads, opened when it is first needed.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use sloth_sandbox::ports::Problem;

use crate::store::file::{Durability, File};

/// The file's name in the data folder.
const FILE: &str = "node.db";

/// The schema's steps, in order. One that was ever released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("migrations/1.sql")];

/// What a node keeps for itself. Several processes may use one at once.
#[derive(Debug)]
pub struct Database {
    file: File,
    connection: Mutex<Option<Connection>>,
}

/// Why a call on the database failed.
#[derive(Debug)]
pub(super) enum Failure {
    Sql(rusqlite::Error),
    /// Said by the caller in its own words.
    Said(Problem),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Database {
    /// The database of a data folder. Nothing is opened or made yet.
    pub fn beneath(data: &Path) -> Self {
        Self {
            file: File::at(data.join(FILE), MIGRATIONS, Durability::Power),
            connection: Mutex::new(None),
        }
    }

    /// Reads; where there is no database yet, that is the default.
    pub(super) fn read<T: Default>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Problem> {
        if !self.file.is_there() {
            return Ok(T::default());
        }
        self.with(|connection| read(connection))
    }

    /// Writes, as one: all of it stays, or nothing does.
    pub(super) fn write<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, Problem> {
        self.with(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(written)
        })
    }

    fn with<T>(
        &self,
        act: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Problem> {
        // A panic in the middle of a transaction has rolled it back.
        let mut held = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let connection = match &mut *held {
            Some(connection) => connection,
            none => none.insert(self.file.open()?),
        };
        act(connection).map_err(|failure| match failure {
            Failure::Said(problem) => problem,
            Failure::Sql(error) => self.file.problem(&error),
        })
    }
}
