//! The one thread that writes. Requests that come while it commits go into the next commit together, and whoever
//! waits is answered only after the disk has it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::error::{Error, Failure};
use super::watch::Watchers;
use crate::store::file::File;
use crate::telemetry::Timer;

/// Most requests in one commit.
const TOGETHER: usize = 512;

/// Most requests that wait. Whoever brings more waits for room.
const WAITING: usize = 1024;

/// What a request works on.
pub(super) struct Writing<'a> {
    pub(super) connection: &'a Connection,
    /// Runs that have new events, with the last one's number.
    grown: BTreeMap<String, u64>,
    /// Whether a lock may have become free.
    unlocked: bool,
}

/// A request, whatever it answers.
trait Request: Send {
    /// Does the work. Tells whether it stays.
    fn act(&mut self, writing: &mut Writing<'_>) -> Result<(), Failure>;
    fn name(&self) -> &'static str;
    /// Answers: with what the work gave, or with why it was lost.
    fn answer(self: Box<Self>, lost: Option<Error>);
}

struct Asked<T, F> {
    name: &'static str,
    act: Option<F>,
    done: Option<T>,
    answer: oneshot::Sender<Result<T, Error>>,
}

/// How many requests came, and in how many commits they were kept.
#[derive(Debug, Default)]
pub(super) struct Effort {
    requests: AtomicU64,
    commits: AtomicU64,
    /// Takes how long each commit takes, if anybody wants to know.
    timer: OnceLock<Timer>,
}

/// The thread's handle. Dropping it ends the thread, after what was asked.
pub(super) struct Writer {
    sender: Option<mpsc::Sender<Box<dyn Request>>>,
    thread: Option<JoinHandle<()>>,
    effort: Arc<Effort>,
}

impl Writing<'_> {
    pub(super) fn has_grown(&mut self, run: &str, last: u64) {
        self.grown.insert(run.to_owned(), last);
    }

    pub(super) fn has_unlocked(&mut self) {
        self.unlocked = true;
    }
}

impl<T, F> Request for Asked<T, F>
where
    T: Send,
    F: FnOnce(&mut Writing<'_>) -> Result<T, Failure> + Send,
{
    fn act(&mut self, writing: &mut Writing<'_>) -> Result<(), Failure> {
        let act = self.act.take().expect("a request is made once");
        self.done = Some(act(writing)?);
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn answer(self: Box<Self>, lost: Option<Error>) {
        let answer = match (lost, self.done) {
            (None, Some(done)) => Ok(done),
            (lost, _) => Err(lost.unwrap_or(Error::Defect(self.name))),
        };
        // Who has gone does not want to know.
        let _ = self.answer.send(answer);
    }
}

impl Writer {
    pub(super) fn start(connection: Connection, file: Arc<File>, watchers: Arc<Watchers>) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let effort = Arc::new(Effort::default());
        let mut desk = Desk {
            connection,
            file,
            watchers,
            effort: Arc::clone(&effort),
        };
        let thread = std::thread::spawn(move || desk.work(receiver));
        Self {
            sender: Some(sender),
            thread: Some(thread),
            effort,
        }
    }

    /// Has a request done, and waits until it is kept.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        name: &'static str,
        act: impl FnOnce(&mut Writing<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            name,
            act: Some(act),
            done: None,
            answer,
        };
        let gone = Error::Defect("its writing thread");
        let Some(sender) = &self.sender else {
            return Err(gone);
        };
        if sender.send(Box::new(asked)).await.is_err() {
            return Err(gone);
        }
        answered.await.unwrap_or(Err(gone))
    }

    /// Has the time of each commit taken from now on. The first who asks for that is given it.
    pub(super) fn timed_by(&self, timer: Timer) {
        let _ = self.effort.timer.set(timer);
    }

    /// Requests that came, and commits that were made of them.
    pub(super) fn effort(&self) -> (u64, u64) {
        (
            self.effort.requests.load(Ordering::Relaxed),
            self.effort.commits.load(Ordering::Relaxed),
        )
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where the thread works.
struct Desk {
    connection: Connection,
    file: Arc<File>,
    watchers: Arc<Watchers>,
    effort: Arc<Effort>,
}

impl Desk {
    fn work(&mut self, mut receiver: mpsc::Receiver<Box<dyn Request>>) {
        let mut requests = Vec::with_capacity(TOGETHER);
        while receiver.blocking_recv_many(&mut requests, TOGETHER) > 0 {
            let came = u64::try_from(requests.len()).unwrap_or(u64::MAX);
            self.effort.requests.fetch_add(came, Ordering::Relaxed);
            self.commit(&mut requests);
        }
    }

    /// Does all requests in one transaction. What fails by itself is taken back alone; what the disk refuses is lost
    /// for all of them, and all are told.
    fn commit(&mut self, requests: &mut Vec<Box<dyn Request>>) {
        let mut answers = Vec::with_capacity(requests.len());
        let timer = self.effort.timer.get().cloned().unwrap_or_default();
        let committed = timer.time(|| self.attempt(requests, &mut answers));
        let lost = match committed {
            Ok((grown, unlocked)) => {
                self.effort.commits.fetch_add(1, Ordering::Relaxed);
                self.watchers.tell(grown, unlocked);
                None
            }
            Err(error) => Some(Error::Unusable(self.file.problem(&error))),
        };
        for (index, request) in requests.drain(..).enumerate() {
            // What a request said of itself counts even where the commit failed.
            let own = answers.get_mut(index).and_then(Option::take);
            request.answer(own.or_else(|| lost.clone()));
        }
    }

    fn attempt(
        &mut self,
        requests: &mut [Box<dyn Request>],
        answers: &mut Vec<Option<Error>>,
    ) -> rusqlite::Result<(BTreeMap<String, u64>, bool)> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writing = Writing {
            connection: &transaction,
            grown: BTreeMap::new(),
            unlocked: false,
        };
        let alone = requests.len() == 1;
        for request in requests {
            if !alone {
                transaction.execute_batch("SAVEPOINT request")?;
            }
            // A defect in one request is not the end of the thread that serves all others.
            let done = catch_unwind(AssertUnwindSafe(|| request.act(&mut writing)));
            let error = match done {
                Ok(Ok(())) => None,
                Ok(Err(Failure::Said(error))) => Some(error),
                Ok(Err(Failure::Sql(error))) => {
                    // On a full disk and the like the whole transaction is gone, with what others wrote in it.
                    if transaction.is_autocommit() {
                        return Err(error);
                    }
                    Some(Error::Unusable(self.file.problem(&error)))
                }
                Err(_) => Some(Error::Defect(request.name())),
            };
            match (&error, alone) {
                (None, true) => {}
                (None, false) => transaction.execute_batch("RELEASE request")?,
                (Some(_), false) => {
                    transaction.execute_batch("ROLLBACK TO request; RELEASE request")?;
                }
                (Some(_), true) => {
                    answers.push(error);
                    transaction.rollback()?;
                    return Ok((BTreeMap::new(), false));
                }
            }
            answers.push(error);
        }
        let Writing {
            grown, unlocked, ..
        } = writing;
        transaction.commit()?;
        Ok((grown, unlocked))
    }
}
