//! The node's own database: one file that only its owner reads, opened when it is first needed.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction, TransactionBehavior};
use sloth_sandbox::ports::Problem;

/// The file's name in the data folder.
const FILE: &str = "node.db";

/// How long one process waits for another's write.
const PATIENCE: Duration = Duration::from_secs(5);

/// The schema's steps, in order. One that was ever released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("migrations/1.sql")];

/// What a node keeps for itself. Several processes may use one at once.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
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
            path: data.join(FILE),
            connection: Mutex::new(None),
        }
    }

    /// Reads; where there is no database yet, that is the default.
    pub(super) fn read<T: Default>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Problem> {
        if self.path.symlink_metadata().is_err() {
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
            none => none.insert(self.open()?),
        };
        act(connection).map_err(|failure| self.problem(failure))
    }

    fn open(&self) -> Result<Connection, Problem> {
        self.make_file()
            .map_err(|error| Problem(format!("failed to open {}: {error}", self.shown())))?;
        let until = Instant::now() + PATIENCE;
        loop {
            match self.connect() {
                // Two processes that set a new file up at once do not wait for each other by themselves.
                Err(Failure::Sql(error)) if is_busy(&error) && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                opened => return opened.map_err(|failure| self.problem(failure)),
            }
        }
    }

    /// Makes the folder and the file if they are missing, for the owner alone; what the database makes
    /// beside the file takes its mode.
    fn make_file(&self) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path);
        match made {
            // A file that is there is not opened here: closing it would give up the locks that
            // another connection of this process holds on it (fcntl, POSIX.1).
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if self.path.metadata()?.permissions().mode() & 0o077 != 0 {
                    std::fs::set_permissions(&self.path, Permissions::from_mode(0o600))?;
                }
                Ok(())
            }
            made => made.map(drop),
        }
    }

    fn connect(&self) -> Result<Connection, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        let version = version(&connection)?;
        if version == MIGRATIONS.len() {
            durable(&connection)?;
            return Ok(connection);
        }
        self.check_version(version)?;
        durable(&connection)?;
        self.migrate(&mut connection)?;
        Ok(connection)
    }

    /// Brings the schema up to date, as one. Another process may have done so meanwhile.
    fn migrate(&self, connection: &mut Connection) -> Result<(), Failure> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let from = version(&transaction)?;
        self.check_version(from)?;
        for migration in MIGRATIONS.iter().skip(from) {
            transaction.execute_batch(migration)?;
        }
        let latest = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        transaction.pragma_update(None, "user_version", latest)?;
        Ok(transaction.commit()?)
    }

    fn check_version(&self, version: usize) -> Result<(), Failure> {
        if version <= MIGRATIONS.len() {
            return Ok(());
        }
        Err(Failure::Said(Problem(format!(
            "{} was written by a later version of sloth-runner (its schema is {version}, this one \
             knows {}): use that version, or another --data-dir",
            self.shown(),
            MIGRATIONS.len()
        ))))
    }

    fn problem(&self, failure: Failure) -> Problem {
        let error = match failure {
            Failure::Said(problem) => return problem,
            Failure::Sql(error) => error,
        };
        let path = self.shown();
        let code = error.sqlite_error_code();
        Problem(match code {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => format!(
                "{path} is damaged ({error}): put a copy of it back, or move it away, and \
                 sloth-runner begins with an empty one"
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!(
                "{path} is in use by another process for more than {} seconds: try again",
                PATIENCE.as_secs()
            ),
            Some(ErrorCode::DiskFull) => format!("{path} cannot grow: the disk is full"),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                format!("{path} cannot be written ({error}): see to its owner and its mode")
            }
            _ => format!("failed to use {path}: {error}"),
        })
    }

    fn shown(&self) -> String {
        sloth_workflow::Untrusted::new(self.path.to_string_lossy()).escaped()
    }
}

/// What is committed outlives a kill and the loss of power.
fn durable(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A number that is none of ours is none that is known.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// A column that counts something.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let count: i64 = row.get(column)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn moment(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
