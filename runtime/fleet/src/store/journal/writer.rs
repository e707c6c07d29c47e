//! The thread that writes the journal: whatever is asked while the disk is busy goes in with the next commit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use sloth_sandbox::ports::Problem;
use tokio::sync::{oneshot, watch};

use super::journal::{Bounds, Call};
use super::outbox::{Entry, Tally};
use super::{calls, file};
use crate::telemetry::Timer;

/// How long it waits before it tries again after a failure.
const AGAIN: Duration = Duration::from_millis(250);
/// Longest that what nobody waits for is held back, to go with what somebody does: a commit of its own would stand in
/// the way of the next call.
const HELD: Duration = Duration::from_millis(20);
/// How often ends that nobody asks for any more are looked for. An agent may run for years.
const SWEPT: Duration = Duration::from_hours(1);
/// Most requests of one commit.
const MOST_AT_ONCE: usize = 4096;
/// Longest that whoever appends waits for room in memory.
const PATIENCE: Duration = Duration::from_millis(400);

pub(super) type Answer = oneshot::Sender<Result<(), Problem>>;

/// What is to be written.
pub(super) enum Request {
    Append {
        run: String,
        lines: u64,
        lost: bool,
        body: Vec<u8>,
    },
    Begin(Call, Answer),
    Raise(Call, Answer),
    End(Call, Vec<u8>, Answer),
    Kept(u64),
    Forget(String),
    Renew(String, Answer),
}

impl Request {
    fn size(&self) -> usize {
        match self {
            Self::Append { body, .. } | Self::End(_, body, _) => body.len() + 128,
            _ => 128,
        }
    }

    /// Whether its asker is rather told at once that it cannot be done.
    fn gives_up(&self) -> bool {
        matches!(self, Self::Begin(..) | Self::Raise(..) | Self::Renew(..))
    }

    /// Whether it may go with the next that cannot wait.
    fn can_wait(&self) -> bool {
        matches!(self, Self::Kept(_) | Self::Forget(_))
    }

    fn answer(self) -> Option<Answer> {
        match self {
            Self::Begin(_, answer)
            | Self::Raise(_, answer)
            | Self::End(_, _, answer)
            | Self::Renew(_, answer) => Some(answer),
            Self::Append { .. } | Self::Kept(_) | Self::Forget(_) => None,
        }
    }
}

/// What the thread and those who ask share.
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    room: Condvar,
    most: usize,
    /// Takes how long each commit takes, if anybody wants to know.
    timer: OnceLock<Timer>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Request>,
    bytes: usize,
    /// Lines that had no room in memory, by run.
    lost: BTreeMap<String, u64>,
    /// Whether the disk took nothing the last time.
    troubled: bool,
    over: bool,
}

impl Queue {
    pub(super) fn holding(most: usize) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            room: Condvar::new(),
            most,
            timer: OnceLock::new(),
        }
    }

    /// Has the time of each commit taken from now on. The first who asks for that is given it.
    pub(super) fn timed_by(&self, timer: Timer) {
        let _ = self.timer.set(timer);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the disk took nothing the last time.
    pub(super) fn is_troubled(&self) -> bool {
        self.state().troubled
    }

    pub(super) fn push(&self, request: Request) {
        let mut state = self.state();
        state.bytes += request.size();
        state.waiting.push_back(request);
        self.wake.notify_one();
    }

    /// Adds what may be dropped, where there is room; else gives it back.
    pub(super) fn try_push_output(&self, run: &str, lines: u64, body: Vec<u8>) -> Option<Vec<u8>> {
        if self.state().bytes > self.most {
            return Some(body);
        }
        self.push(Request::Append {
            run: run.to_owned(),
            lines,
            lost: false,
            body,
        });
        None
    }

    /// Adds what may be dropped; waits for a moment where there is no room, and then drops it.
    pub(super) fn push_output(&self, run: String, lines: u64, body: Vec<u8>) {
        let until = Instant::now() + PATIENCE;
        let mut state = self.state();
        while state.bytes > self.most && !state.troubled && !state.over {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                break;
            };
            let waited = self.room.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.bytes > self.most {
            *state.lost.entry(run).or_default() += lines;
            return;
        }
        drop(state);
        self.push(Request::Append {
            run,
            lines,
            lost: false,
            body,
        });
    }

    pub(super) fn close(&self) {
        self.state().over = true;
        self.wake.notify_all();
    }

    /// Waits for something to do; none once all is done. Without `haste`, what can wait waits for a moment.
    fn next(&self, haste: bool) -> Option<VecDeque<Request>> {
        let mut state = self.state();
        let mut since = None;
        loop {
            let idle = !haste && !state.over && state.waiting.iter().all(Request::can_wait);
            if idle && !state.waiting.is_empty() {
                let held = since.get_or_insert_with(Instant::now).elapsed();
                if let Some(left) = HELD.checked_sub(held).filter(|left| !left.is_zero()) {
                    let waited = self.wake.wait_timeout(state, left);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
            }
            if !state.waiting.is_empty() {
                let count = state.waiting.len().min(MOST_AT_ONCE);
                return Some(state.waiting.drain(..count).collect());
            }
            if state.over {
                return None;
            }
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn written(&self, bytes: usize) {
        let mut state = self.state();
        state.troubled = false;
        state.bytes = state.bytes.saturating_sub(bytes);
        for (run, lines) in std::mem::take(&mut state.lost) {
            state.waiting.push_back(Request::Append {
                run,
                lines,
                lost: true,
                body: Vec::new(),
            });
        }
        self.room.notify_all();
    }

    /// Puts back what the disk did not take; false when there is no time left to try again.
    fn put_back(&self, batch: VecDeque<Request>, gone: usize) -> bool {
        let mut state = self.state();
        state.troubled = true;
        state.bytes = state.bytes.saturating_sub(gone);
        for request in batch.into_iter().rev() {
            state.waiting.push_front(request);
        }
        self.room.notify_all();
        !state.over
    }
}

/// Writes until the queue is closed.
pub(super) fn run(
    mut connection: Connection,
    path: &std::path::Path,
    bounds: &Bounds,
    mut tally: Tally,
    queue: &Queue,
    given: &watch::Sender<u64>,
) {
    let mut said = None;
    let mut swept = Instant::now();
    // What waits for a number is given one as soon as the master has kept what was before it.
    while let Some(batch) = queue.next(tally.has_waiting()) {
        let size = batch.iter().map(Request::size).sum();
        let mut after = tally;
        let timer = queue.timer.get().cloned().unwrap_or_default();
        let sweep = swept.elapsed() >= SWEPT;
        match timer.time(|| commit(&mut connection, bounds, &mut after, &batch, sweep)) {
            Ok(()) => {
                if sweep {
                    swept = Instant::now();
                }
                tally = after;
                queue.written(size);
                for answer in batch.into_iter().filter_map(Request::answer) {
                    // Nobody waits any more when this fails.
                    let _ = answer.send(Ok(()));
                }
                given.send_if_modified(|last| std::mem::replace(last, tally.given) != tally.given);
                said = None;
            }
            Err(error) => {
                let problem = file::problem(path, &error);
                if said.as_ref() != Some(&problem.0) {
                    tracing::error!("{problem}; what is to be reported waits for it");
                    said = Some(problem.0.clone());
                }
                let (told, kept): (VecDeque<_>, _) = batch.into_iter().partition(Request::gives_up);
                let gone = told.iter().map(Request::size).sum();
                for answer in told.into_iter().filter_map(Request::answer) {
                    let _ = answer.send(Err(problem.clone()));
                }
                if !queue.put_back(kept, gone) {
                    return;
                }
                std::thread::sleep(AGAIN);
            }
        }
    }
}

fn commit(
    connection: &mut Connection,
    bounds: &Bounds,
    tally: &mut Tally,
    batch: &VecDeque<Request>,
    sweep: bool,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if sweep {
        calls::sweep(&transaction)?;
    }
    for request in batch {
        match request {
            Request::Append {
                run,
                lines,
                lost,
                body,
            } => {
                let entry = Entry {
                    run,
                    ends: None,
                    lines: *lines,
                    lost: *lost,
                    body,
                };
                tally.add(&transaction, bounds, &entry)?;
            }
            Request::Begin(call, _) => calls::begin(&transaction, call)?,
            Request::Raise(call, _) => calls::raise(&transaction, call)?,
            Request::End(call, body, _) => {
                calls::end(&transaction, call, body)?;
                let entry = Entry {
                    run: &call.run,
                    ends: Some(call),
                    lines: 0,
                    lost: false,
                    body,
                };
                tally.add(&transaction, bounds, &entry)?;
            }
            Request::Kept(number) => tally.kept(&transaction, *number)?,
            Request::Forget(run) => calls::forget(&transaction, run)?,
            Request::Renew(id, _) => tally.renew(&transaction, id)?,
        }
    }
    tally.number(&transaction, bounds)?;
    tally.shed(&transaction, bounds)?;
    tally.keep(&transaction)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_long_ago_go_while_the_agent_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let _lock = file::lock(&path).unwrap();
        let mut connection = file::open(&path).unwrap();
        let end =
            "INSERT INTO call (run, number, fence, ended, changed) VALUES ('r', ?1, 1, x'00', ?2)";
        connection.execute(end, [1, 0]).unwrap();
        connection.execute(end, [2, i64::MAX]).unwrap();
        let count = |connection: &Connection| -> i64 {
            let count = "SELECT count(*) FROM call";
            connection.query_row(count, [], |row| row.get(0)).unwrap()
        };
        let (bounds, mut tally) = (Bounds::default(), Tally::default());
        let none = VecDeque::new();
        commit(&mut connection, &bounds, &mut tally, &none, false).unwrap();
        assert_eq!(count(&connection), 2);
        commit(&mut connection, &bounds, &mut tally, &none, true).unwrap();
        assert_eq!(count(&connection), 1);
    }

    #[test]
    fn what_can_wait_goes_with_what_cannot() {
        let queue = Queue::holding(1024);
        queue.push(Request::Kept(1));
        let batch = std::thread::scope(|scope| {
            let taking = scope.spawn(|| queue.next(false));
            queue.push(Request::Forget("r".to_owned()));
            let (answer, _answered) = oneshot::channel();
            queue.push(Request::Renew("j".to_owned(), answer));
            taking.join().unwrap()
        });
        assert_eq!(batch.map(|batch| batch.len()), Some(3));
        queue.push(Request::Kept(2));
        let alone = queue.next(false).map(|batch| batch.len());
        assert_eq!(alone, Some(1), "nobody came, and it was not held for ever");
    }
}
