//! The journal's file and its schema.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use sloth_sandbox::ports::Problem;
use sloth_workflow::value::base16;

use crate::store;

/// The schema's steps, in order. One that was ever released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("migrations/1.sql")];

/// How long the reader and the writer wait for each other.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens a journal for its writer, made if it is missing, with its schema brought up to date.
pub(super) fn open(path: &Path) -> Result<Connection, Problem> {
    let mut connection = connect(path).map_err(|error| problem(path, &error))?;
    let version = migrate(&mut connection).map_err(|error| problem(path, &error))?;
    if version > MIGRATIONS.len() {
        return Err(Problem(format!(
            "{} was written by a later version of sloth-runner (its schema is {version}, this one knows \
             {}): use that version, or another --data-dir",
            shown(path),
            MIGRATIONS.len()
        )));
    }
    Ok(connection)
}

/// Locks a journal, which is made if it is missing.
pub(super) fn lock(path: &Path) -> Result<File, Problem> {
    try_lock(path)?.ok_or_else(|| {
        Problem(format!(
            "{} is in use by another agent; give each a --data-dir of its own",
            shown(path)
        ))
    })
}

/// The same; none where another process has it.
pub(super) fn try_lock(path: &Path) -> Result<Option<File>, Problem> {
    let failed = |error| Problem(format!("failed to open {}: {error}", shown(path)));
    make(path).map_err(failed)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    // The database's own locks are its file's, so this is another's.
    store::file::try_lock(Path::new(&name)).map_err(failed)
}

/// One more connection, for reading.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Gives the schema's version, which is that of a later program where it is too high.
fn migrate(connection: &mut Connection) -> rusqlite::Result<usize> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A number that is none of ours is none that is known.
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(migration)?;
    }
    if version >= MIGRATIONS.len() {
        return Ok(version);
    }
    let latest = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    transaction.pragma_update(None, "user_version", latest)?;
    transaction.execute("INSERT INTO journal (id, given) VALUES (?1, 0)", [fresh()])?;
    transaction.commit()?;
    Ok(MIGRATIONS.len())
}

/// The name of a journal, or of a process: 32 hexadecimal digits that no other one has.
pub(crate) fn fresh() -> String {
    let mut random = [0; 16];
    // Without randomness two journals could be taken for one, so nothing is begun.
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .expect("the kernel has random numbers once it has started");
    base16(&random)
}

/// Makes the folder and the file if they are missing, for the owner alone.
fn make(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// What is wrong, and what to do about it.
pub(super) fn problem(path: &Path, error: &rusqlite::Error) -> Problem {
    let path = shown(path);
    Problem(match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => format!(
            "{path} is damaged ({error}): move it away, and the agent begins another; its master is told \
             that what it was doing is not known"
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!(
                "{path} is in use by another process for more than {} seconds",
                PATIENCE.as_secs()
            )
        }
        Some(ErrorCode::DiskFull) => format!("{path} cannot grow: the disk is full"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            format!("{path} cannot be written ({error}): see to its owner and its mode")
        }
        _ => format!("failed to use {path}: {error}"),
    })
}

fn shown(path: &Path) -> String {
    sloth_workflow::Untrusted::new(path.to_string_lossy()).escaped()
}
