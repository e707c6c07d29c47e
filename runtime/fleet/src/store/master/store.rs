//! Opening the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use sloth_sandbox::ports::Problem;
use sloth_workflow::Untrusted;

use super::error::{Error, Failure};
use super::readers::Readers;
use super::watch::Watchers;
use super::writer::{Writer, Writing};
use crate::store::file::{self, Durability, File};
use crate::telemetry::Timer;

/// The master's file in its data folder.
const MASTER: &str = "master.db";
/// How long a master that begins waits for one that ends.
const PATIENCE: Duration = Duration::from_secs(2);
/// Held by the one master of the data folder.
const LOCK: &str = "master.lock";
/// The file of runs without a master, in the data folder.
const LOCAL: &str = "local.db";

/// The schema's steps, in order. One that was ever released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
    include_str!("migrations/4.sql"),
    include_str!("migrations/5.sql"),
    include_str!("migrations/6.sql"),
];

/// What a master, or the local history, keeps. Its methods wait without holding a thread, and what they answer after a
/// change outlives a kill; in a master's store also the loss of power.
pub struct Store {
    writer: Writer,
    readers: Readers,
    pub(super) watchers: Arc<Watchers>,
    /// Where contents stand.
    pub(super) contents: PathBuf,
    /// Keeps a second master out of the data folder.
    sole: Option<std::fs::File>,
}

impl Store {
    /// Opens a master's store in its data folder, and makes it if it is not there. Waits for the disk.
    pub fn open(data: &Path) -> Result<Self, Error> {
        let lock = data.join(LOCK);
        let sole = Self::alone(&lock)
            .map_err(|error| Problem(format!("failed to open {}: {error}", lock.display())))?;
        if sole.is_none() {
            let data = Untrusted::new(data.to_string_lossy()).escaped();
            return Err(Error::Unusable(Problem(format!(
                "another master works in {data}; give each a --data-dir of its own"
            ))));
        }
        let file = File::at(data.join(MASTER), MIGRATIONS, Durability::Power);
        let mut store = Self::over(file, data)?;
        store.sole = sole;
        store.clear_uploads();
        Ok(store)
    }

    /// The lock of the one master of a folder; none where another one holds on to it. One that ends needs a moment.
    fn alone(lock: &Path) -> std::io::Result<Option<std::fs::File>> {
        let until = Instant::now() + PATIENCE;
        loop {
            match file::try_lock(lock)? {
                None if Instant::now() < until => std::thread::sleep(PATIENCE / 50),
                answer => return Ok(answer),
            }
        }
    }

    /// Opens the history of runs without a master. Several processes may use it at once. Waits for the disk.
    pub fn history(data: &Path) -> Result<Self, Error> {
        let file = File::at(data.join(LOCAL), MIGRATIONS, Durability::Kill);
        Self::over(file, data)
    }

    /// Whether there is a history already.
    pub fn has_history(data: &Path) -> bool {
        File::at(data.join(LOCAL), MIGRATIONS, Durability::Kill).is_there()
    }

    fn over(file: File, data: &Path) -> Result<Self, Error> {
        let connection = file.open()?;
        // The next who opens it finds the log as it is; nobody who leaves waits for the disk.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .map_err(|error| file.problem(&error))?;
        let file = Arc::new(file);
        let watchers = Arc::new(Watchers::new());
        Ok(Self {
            readers: Readers::of(Arc::clone(&file)),
            writer: Writer::start(connection, file, Arc::clone(&watchers)),
            watchers,
            contents: data.join("contents"),
            sole: None,
        })
    }

    /// How many requests changed it since it was opened, and in how many commits they were kept.
    pub fn commits(&self) -> (u64, u64) {
        self.writer.effort()
    }

    /// Has the time of each commit taken from now on.
    pub fn timed_by(&self, timer: Timer) {
        self.writer.timed_by(timer);
    }

    /// Changes something, as one, and waits until it is kept. `name` says what, for defects.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        name: &'static str,
        act: impl FnOnce(&mut Writing<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        self.writer.ask(name, act).await
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        name: &'static str,
        act: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        self.readers.read(name, act).await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Store")
            .field("contents", &self.contents)
            .finish_non_exhaustive()
    }
}
