//! One `SQLite` file: made for its owner alone, brought to the schema this program knows, and what can be wrong
//! with it in words.

use std::fs::{DirBuilder, OpenOptions, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, TransactionBehavior};
use sloth_sandbox::ports::Problem;
use sloth_workflow::Untrusted;

/// How long one process waits for another's write.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes what only one process may have at a time, for as long as the file that is given lives. None where another
/// process has it.
pub(crate) fn try_lock(path: &Path) -> std::io::Result<Option<std::fs::File>> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes a folder if it is missing, for the owner alone.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// How much of a commit outlives what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// A kill and the loss of power: the disk has it before the commit is answered.
    Power,
    /// A kill. The loss of power may take the last commits, whole.
    Kill,
}

/// A file and its schema.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    /// The schema's steps, in order. One that was ever released is never changed.
    migrations: &'static [&'static str],
    durability: Durability,
}

/// Why a file could not be opened.
enum Failure {
    Sql(rusqlite::Error),
    Said(Problem),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl File {
    /// Nothing is opened or made yet.
    pub(super) fn at(
        path: PathBuf,
        migrations: &'static [&'static str],
        durability: Durability,
    ) -> Self {
        Self {
            path,
            migrations,
            durability,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.path.symlink_metadata().is_ok()
    }

    /// Opens the file. Makes it if it is missing, and brings its schema up to date.
    pub(super) fn open(&self) -> Result<Connection, Problem> {
        self.make()
            .map_err(|error| Problem(format!("failed to open {}: {error}", self.shown())))?;
        let until = Instant::now() + PATIENCE;
        loop {
            match self.connect() {
                // Two processes that set a new file up at once do not wait for each other by themselves.
                Err(Failure::Sql(error)) if is_busy(&error) && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(Failure::Sql(error)) => return Err(self.problem(&error)),
                Err(Failure::Said(problem)) => return Err(problem),
                Ok(connection) => return Ok(connection),
            }
        }
    }

    /// Makes the folder and the file if they are missing, for the owner alone; what the database makes
    /// beside the file takes its mode.
    fn make(&self) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            make_folder(folder)?;
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
        self.check_version(version)?;
        self.make_durable(&connection)?;
        if version < self.migrations.len() {
            self.migrate(&mut connection)?;
        }
        Ok(connection)
    }

    fn make_durable(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        match self.durability {
            Durability::Power => connection.pragma_update(None, "synchronous", "FULL"),
            Durability::Kill => {
                // Each process that comes first reads the log from its beginning: it stays short.
                connection.pragma_update(None, "wal_autocheckpoint", 128)?;
                connection.pragma_update(None, "synchronous", "NORMAL")
            }
        }
    }

    /// Brings the schema up to date, as one. Another process may have done so meanwhile.
    fn migrate(&self, connection: &mut Connection) -> Result<(), Failure> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let from = version(&transaction)?;
        self.check_version(from)?;
        for migration in self.migrations.iter().skip(from) {
            transaction.execute_batch(migration)?;
        }
        let latest = i64::try_from(self.migrations.len()).unwrap_or(i64::MAX);
        transaction.pragma_update(None, "user_version", latest)?;
        Ok(transaction.commit()?)
    }

    fn check_version(&self, version: usize) -> Result<(), Failure> {
        if version <= self.migrations.len() {
            return Ok(());
        }
        Err(Failure::Said(Problem(format!(
            "{} was written by a later version of sloth-runner (its schema is {version}, this one \
             knows {}): use that version, or another --data-dir",
            self.shown(),
            self.migrations.len()
        ))))
    }

    /// What is wrong, in words that end with what to do.
    pub(super) fn problem(&self, error: &rusqlite::Error) -> Problem {
        let path = self.shown();
        Problem(match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => format!(
                "{path} is damaged ({error}): put a copy of it back, or move it away, and \
                 sloth-runner begins with an empty one"
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!(
                "{path} is in use by another process for more than {} seconds: try again",
                PATIENCE.as_secs()
            ),
            Some(ErrorCode::DiskFull) => {
                format!("{path} cannot grow: the disk is full; make room and try again")
            }
            Some(ErrorCode::SystemIoFailure) => format!(
                "{path} cannot be read or written ({error}): see to the disk, and to whether it is full"
            ),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                format!("{path} cannot be written ({error}): see to its owner and its mode")
            }
            _ => format!("failed to use {path}: {error}"),
        })
    }

    fn shown(&self) -> String {
        Untrusted::new(self.path.to_string_lossy()).escaped()
    }
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
