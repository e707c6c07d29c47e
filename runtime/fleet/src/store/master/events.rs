//! Events: what users see of a run. They are kept as the bytes they travel as, and numbered as they are appended.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params};
use sloth_workflow::{Event, Finished, Outcome, Record};
use tokio::sync::watch;

use super::error::{Error, Failure};
use super::steps::{self, Mark};
use super::writer::Writing;
use super::{Ending, Store, calls, runs};
use crate::wire;

/// Bits of an event's key that are its number in the run.
const NUMBER_BITS: u32 = 32;

/// Most bytes of events in one answer, beyond the first.
const ANSWER: usize = 2 << 20;

/// An event that has no number yet.
#[derive(Clone, Debug)]
pub struct Fresh {
    body: Vec<u8>,
    key: Option<String>,
    pub(super) mark: Option<Mark>,
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub number: u64,
    /// A record without its number, as [`wire::record`] reads it.
    pub body: Vec<u8>,
}

/// What became of events that were to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The number of the run's last event.
    pub last: u64,
    /// Of each event, whether the run did not have it yet.
    pub new: Vec<bool>,
}

impl Fresh {
    /// An event that happened now or then, and where.
    pub fn of(event: &Event, time: SystemTime, target: Option<&str>) -> Self {
        Self {
            body: wire::record::encoded(event, time, target),
            key: None,
            mark: Mark::of(event, target),
        }
    }

    /// The same event, which is appended once only: if the run has one with this key already, nothing is.
    #[must_use]
    pub fn once(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl Kept {
    /// The event in the words of the program.
    pub fn record(&self) -> Result<Record, wire::Malformed> {
        wire::record::decoded(&self.body, self.number)
    }
}

impl Store {
    /// Appends events to a run, in order. Gives the number of the run's last one.
    pub async fn append(&self, run: &str, events: Vec<Fresh>) -> Result<u64, Error> {
        let appended = self.append_each(run, events).await?;
        Ok(appended.last)
    }

    /// The same, and tells of each event whether it was new.
    pub async fn append_each(&self, run: &str, events: Vec<Fresh>) -> Result<Appended, Error> {
        let run = run.to_owned();
        self.write("append", move |writing| append(writing, &run, &events))
            .await
    }

    /// Appends the last events of a run and ends it with them. The calls that are still out end as cancelled: they were
    /// made before a restart, and the run did not come to them again.
    pub async fn conclude(
        &self,
        run: &str,
        events: Vec<Fresh>,
        ending: Ending,
    ) -> Result<Appended, Error> {
        let run = run.to_owned();
        let left = Finished::with(Outcome::Cancelled, "the run is over");
        let left = wire::finished::encoded(&left);
        self.write("conclude", move |writing| {
            let appended = append(writing, &run, &events)?;
            let sequence = runs::sequence(writing.connection, &run)?;
            calls::end_all(writing.connection, sequence, &left)?;
            runs::end(writing, sequence, &ending)?;
            Ok(appended)
        })
        .await
    }

    /// Events with numbers above `after`, at most so many: fewer where they are large, yet one at least if there is one.
    pub async fn events(&self, run: &str, after: u64, limit: usize) -> Result<Vec<Kept>, Error> {
        let (events, _) = self.page(run, after, limit).await?;
        Ok(events)
    }

    /// The same, and whether the run had ended at that moment.
    pub async fn page(
        &self,
        run: &str,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<Kept>, bool), Error> {
        let run = run.to_owned();
        self.read("events", move |connection| {
            let sequence = runs::sequence(connection, &run)?;
            let ended = runs::has_ended(connection, sequence)?;
            let mut statement = connection.prepare_cached(
                "SELECT id, body FROM event WHERE id > ?1 AND id < ?2 ORDER BY id",
            )?;
            let after = after.min(u64::from(u32::MAX));
            let mut rows = statement.query([key(sequence, after), key(sequence + 1, 0)])?;
            let (mut events, mut bytes) = (Vec::new(), 0);
            while events.len() < limit
                && bytes < ANSWER
                && let Some(row) = rows.next()?
            {
                let body: Vec<u8> = row.get(1)?;
                bytes += body.len();
                events.push(Kept {
                    number: number(row.get(0)?),
                    body,
                });
            }
            Ok((events, ended))
        })
        .await
    }

    /// The number of the run's last event, whenever it grows. Begin to watch, then read, then wait: so nothing is missed.
    pub fn watch(&self, run: &str) -> watch::Receiver<u64> {
        self.watchers.run(run)
    }
}

pub(super) fn append(
    writing: &mut Writing<'_>,
    run: &str,
    events: &[Fresh],
) -> Result<Appended, Failure> {
    let sequence = runs::sequence(writing.connection, run)?;
    let mut log = Log::of(writing.connection, sequence)?;
    let mut new = Vec::with_capacity(events.len());
    for event in events {
        let before = log.last;
        log.append(event)?;
        new.push(log.last > before);
    }
    let last = log.close(writing, run)?;
    Ok(Appended { last, new })
}

/// The end of a run's events, while some are appended.
pub(super) struct Log<'a> {
    connection: &'a Connection,
    run: i64,
    before: u64,
    last: u64,
}

impl<'a> Log<'a> {
    pub(super) fn of(connection: &'a Connection, run: i64) -> Result<Self, Failure> {
        let last: i64 = connection
            .prepare_cached("SELECT events FROM run WHERE sequence = ?1")?
            .query_row([run], |row| row.get(0))?;
        let last = u64::try_from(last).unwrap_or(0);
        Ok(Self {
            connection,
            run,
            before: last,
            last,
        })
    }

    /// The run, as it is known inside.
    pub(super) fn run(&self) -> i64 {
        self.run
    }

    pub(super) fn append(&mut self, event: &Fresh) -> Result<(), Failure> {
        if let Some(key) = &event.key
            && self.has(key)?
        {
            return Ok(());
        }
        let next = self.last + 1;
        if next >= 1 << NUMBER_BITS {
            return Err(Failure::Said(Error::Defect("a run of four billion events")));
        }
        self.connection
            .prepare_cached("INSERT INTO event (id, body) VALUES (?1, ?2)")?
            .execute(params![key(self.run, next), event.body])?;
        if let Some(once) = &event.key {
            self.connection
                .prepare_cached("INSERT INTO event_key (run, key, number) VALUES (?1, ?2, ?3)")?
                .execute(params![self.run, once, signed(next)])?;
        }
        if let Some(mark) = &event.mark {
            steps::apply(self.connection, self.run, next, mark)?;
        }
        self.last = next;
        Ok(())
    }

    fn has(&self, key: &str) -> rusqlite::Result<bool> {
        let found: Option<i64> = self
            .connection
            .prepare_cached("SELECT number FROM event_key WHERE run = ?1 AND key = ?2")?
            .query_row(params![self.run, key], |row| row.get(0))
            .optional()?;
        Ok(found.is_some())
    }

    /// Writes the new end down, and has watchers told once it is kept.
    pub(super) fn close(self, writing: &mut Writing<'_>, id: &str) -> Result<u64, Failure> {
        if self.last > self.before {
            self.connection
                .prepare_cached("UPDATE run SET events = ?2 WHERE sequence = ?1")?
                .execute([self.run, signed(self.last)])?;
            writing.has_grown(id, self.last);
        }
        Ok(self.last)
    }
}

/// The key of an event: those of a run are neighbours, in order.
pub(super) fn key(run: i64, number: u64) -> i64 {
    (run << NUMBER_BITS) | signed(number)
}

fn number(key: i64) -> u64 {
    u64::try_from(key & i64::from(u32::MAX)).unwrap_or(0)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
