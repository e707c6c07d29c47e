//! The journal of an agent.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use sloth_sandbox::ports::Problem;
use tokio::sync::{oneshot, watch};

use super::outbox::{self, Tally};
use super::writer::{self, Queue, Request};
use super::{calls, file};
use crate::telemetry::Timer;

/// The file's name in the data folder.
pub(super) const FILE: &str = "journal.db";

/// How much is held of what the master has not kept yet. In bytes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// On its way: has a number, and is never dropped.
    pub window: u64,
    /// Output that waits for its turn on disk. Beyond that, the oldest is dropped.
    pub output: u64,
    /// In memory, until the disk takes it.
    pub memory: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            window: 4 << 20,
            output: 256 << 20,
            memory: 8 << 20,
        }
    }
}

/// A call by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    pub run: String,
    pub number: u64,
    pub fence: u64,
}

/// What is known of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The highest that was seen.
    pub fence: u64,
    /// Its end, as it is delivered; none if it has not ended.
    pub ended: Option<Vec<u8>>,
}

/// Something to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub number: u64,
    pub run: String,
    pub what: What,
}

/// What is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// As it was given.
    Kept(Vec<u8>),
    /// So many lines of output stood here, and there was no room for them.
    Lost(u64),
}

/// An agent's journal. Whoever drops it waits until all is written.
pub struct Journal {
    path: PathBuf,
    id: Mutex<String>,
    queue: Arc<Queue>,
    reader: Arc<Mutex<Connection>>,
    given: watch::Receiver<u64>,
    writer: Option<JoinHandle<()>>,
    /// Held for as long as the journal is open: two agents must not share one.
    _lock: std::fs::File,
}

impl Journal {
    /// Opens the journal in a data folder, made if it is missing.
    pub fn open(data: &Path, bounds: Bounds) -> Result<Self, Problem> {
        let path = data.join(FILE);
        let lock = file::lock(&path)?;
        let connection = file::open(&path)?;
        let failed = |error| file::problem(&path, &error);
        calls::sweep(&connection).map_err(failed)?;
        let id = connection.query_row("SELECT id FROM journal", [], |row| row.get(0));
        let id = Mutex::new(id.map_err(failed)?);
        let tally = Tally::of(&connection).map_err(failed)?;
        let reader = file::connect(&path).map_err(failed)?;
        let queue = Arc::new(Queue::holding(bounds.memory));
        let (sender, given) = watch::channel(tally.given);
        let (own, place) = (Arc::clone(&queue), path.clone());
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer::run(connection, &place, &bounds, tally, &own, &sender))
            .map_err(|error| Problem(format!("failed to start the journal's thread: {error}")))?;
        Ok(Self {
            path,
            id,
            queue,
            reader: Arc::new(Mutex::new(reader)),
            given,
            writer: Some(writer),
            _lock: lock,
        })
    }

    /// Has the time of each commit taken from now on.
    pub fn timed_by(&self, timer: Timer) {
        self.queue.timed_by(timer);
    }

    /// Whether the disk took nothing the last time.
    pub fn is_troubled(&self) -> bool {
        self.queue.is_troubled()
    }

    /// Drawn when the journal was begun.
    pub fn id(&self) -> String {
        self.id
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The last number that was given to something to deliver; tells when there is a higher one.
    pub fn given(&self) -> watch::Receiver<u64> {
        self.given.clone()
    }

    /// Puts on record that a call is about to begin, for good when this returns. On an error nothing of it
    /// may be done.
    pub async fn begin(&self, call: Call) -> Result<(), Problem> {
        self.ask(|answer| Request::Begin(call, answer)).await
    }

    /// Puts on record that a call was given out again with a higher fence.
    pub async fn raise(&self, call: Call) -> Result<(), Problem> {
        self.ask(|answer| Request::Raise(call, answer)).await
    }

    /// Puts on record how a call ended, and to deliver that behind all that was appended before. Waits for as
    /// long as the disk takes nothing.
    pub async fn end(&self, call: Call, body: Vec<u8>) -> Result<(), Problem> {
        self.ask(|answer| Request::End(call, body, answer)).await
    }

    /// To deliver, sooner or later, whatever happens.
    pub fn append(&self, run: &str, body: Vec<u8>) {
        self.queue.push(Request::Append {
            run: run.to_owned(),
            lines: 0,
            lost: false,
            body,
        });
    }

    /// To deliver, if there is room for it now; gives it back where there is none.
    pub fn try_append_output(&self, run: &str, lines: u64, body: Vec<u8>) -> Option<Vec<u8>> {
        self.queue.try_push_output(run, lines.max(1), body)
    }

    /// To deliver if there is room for it, and else to be counted. May block for a moment.
    pub fn append_output(&self, run: &str, lines: u64, body: Vec<u8>) {
        self.queue.push_output(run.to_owned(), lines.max(1), body);
    }

    /// The master keeps everything up to a number.
    pub fn kept(&self, number: u64) {
        self.queue.push(Request::Kept(number));
    }

    /// Nobody asks for a run's calls any more.
    pub fn forget(&self, run: &str) {
        self.queue.push(Request::Forget(run.to_owned()));
    }

    /// Goes on as another journal, with the numbers from 1: what the master has of this one does not fit it.
    pub async fn renew(&self) -> Result<(), Problem> {
        let id = file::fresh();
        let fresh = id.clone();
        self.ask(|answer| Request::Renew(fresh, answer)).await?;
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = id;
        Ok(())
    }

    /// What is known of a call.
    pub async fn find(&self, run: &str, number: u64) -> Result<Option<Found>, Problem> {
        let run = run.to_owned();
        self.read(move |connection| calls::find(connection, &run, number))
            .await
    }

    /// The calls that were begun and have no end.
    pub async fn open_calls(&self) -> Result<Vec<Call>, Problem> {
        self.read(calls::open).await
    }

    /// The calls whose ends the master is not known to keep.
    pub async fn undelivered(&self) -> Result<Vec<Call>, Problem> {
        self.read(outbox::ends).await
    }

    /// The first number that the master is not known to keep.
    pub async fn first(&self) -> Result<Option<u64>, Problem> {
        self.read(outbox::first).await
    }

    /// What is to be delivered behind a number, in order: at most about `bytes` of it, and at least one if
    /// there is any.
    pub async fn after(&self, number: u64, bytes: usize) -> Result<Vec<Item>, Problem> {
        self.read(move |connection| outbox::after(connection, number, bytes))
            .await
    }

    async fn ask(&self, request: impl FnOnce(writer::Answer) -> Request) -> Result<(), Problem> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(request(answer));
        let over = || Problem("the journal is closed".to_owned());
        answered.await.map_err(|_| over())?
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let reader = Arc::clone(&self.reader);
        let read = tokio::task::spawn_blocking(move || {
            read(&reader.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match read.await {
            Ok(read) => read.map_err(|error| file::problem(&self.path, &error)),
            Err(defect) => Err(Problem(format!("failed to read the journal: {defect}"))),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            // One that panicked has said so.
            let _ = writer.join();
        }
    }
}
