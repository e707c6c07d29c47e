//! Retention: old runs go, with their events and the contents that nobody else needs. Some at a time, so that nobody
//! waits for it.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, params};

use super::error::{Error, Failure};
use super::{Store, contents, events};
use crate::store::file::milliseconds;

/// Most runs, events or contents that go in one request.
const RUNS: i64 = 50;
/// Once so many rows of runs are gone, the next run waits for the next request. One run goes as a whole.
const ROWS: usize = 2000;
const EVENTS: i64 = 2000;
const CONTENTS: i64 = 100;

/// How long a content stays that no run needs: it may have been uploaded for one that is not submitted yet.
const UNCLAIMED: Duration = Duration::from_hours(24);

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub runs: usize,
    pub events: usize,
    pub contents: usize,
}

impl Store {
    /// Removes runs that ended before a moment, and what nothing needs any more.
    pub async fn prune(&self, before: SystemTime, now: SystemTime) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        loop {
            let runs = self
                .write("prune runs", move |writing| {
                    runs(writing.connection, before)
                })
                .await?;
            pruned.runs += runs;
            if runs == 0 {
                break;
            }
        }
        self.write("prune journals", move |writing| {
            Ok(journals(writing.connection, before)?)
        })
        .await?;
        while let Some(events) = self
            .write("prune events", |writing| leave(writing.connection))
            .await?
        {
            pruned.events += events;
        }
        loop {
            let gone = self
                .write("prune contents", move |writing| {
                    unneeded(writing.connection, now)
                })
                .await?;
            if gone.is_empty() {
                break;
            }
            pruned.contents += gone.len();
            let folder = self.contents.clone();
            // In a request of its own: only once it is kept that they went do the files go, and by the thread that
            // gives new ones their names, so that the two never cross.
            self.write("prune files", move |writing| {
                let mut kept = writing
                    .connection
                    .prepare_cached("SELECT 1 FROM content WHERE digest = ?1")?;
                for digest in &gone {
                    if !kept.exists([digest])? {
                        // A file that stays takes room and does no harm.
                        let _ = contents::remove(&folder, digest);
                    }
                }
                Ok(())
            })
            .await?;
        }
        Ok(pruned)
    }
}

/// Removes some runs, but for their events; gives how many.
fn runs(connection: &Connection, before: SystemTime) -> Result<usize, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence FROM run WHERE finished < ?1 ORDER BY finished LIMIT ?2",
    )?;
    let found = statement.query_map([milliseconds(before), RUNS], |row| row.get(0))?;
    let found: Vec<i64> = found.collect::<rusqlite::Result<_>>()?;
    let (mut gone, mut rows) = (0, 0);
    for run in &found {
        if rows >= ROWS {
            break;
        }
        gone += 1;
        for table in [
            "run_detail",
            "pipeline",
            "run_target",
            "event_key",
            "step",
            "call",
            "content_use",
            "lock",
            "lock_waiting",
        ] {
            rows += connection
                .prepare_cached(&format!("DELETE FROM {table} WHERE run = ?1"))?
                .execute([run])?;
        }
        connection
            .prepare_cached("DELETE FROM run WHERE sequence = ?1")?
            .execute([run])?;
        connection
            .prepare_cached("INSERT INTO leaving (run) VALUES (?1)")?
            .execute([run])?;
    }
    Ok(gone)
}

/// Removes some events of a run that has gone; gives how many, and none when no such run is left.
fn leave(connection: &Connection) -> Result<Option<usize>, Failure> {
    let run: Option<i64> = connection
        .prepare_cached("SELECT run FROM leaving ORDER BY run")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(run) = run else {
        return Ok(None);
    };
    let gone = connection
        .prepare_cached(
            "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE id > ?1 AND id < ?2 LIMIT ?3)",
        )?
        .execute([events::key(run, 0), events::key(run + 1, 0), EVENTS])?;
    if gone == 0 {
        connection
            .prepare_cached("DELETE FROM leaving WHERE run = ?1")?
            .execute([run])?;
    }
    Ok(Some(gone))
}

/// Forgets journals of which nothing came for long: those of sessions that took part in one run, and those that an agent
/// has lost. The last of an agent stays, for it may come back with it.
fn journals(connection: &Connection, before: SystemTime) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM journal WHERE told < ?1 AND (agent LIKE 'local/%' OR EXISTS (
                 SELECT 1 FROM journal AS later
                 WHERE later.agent = journal.agent AND later.told > journal.told))",
        )?
        .execute([milliseconds(before)])
}

/// Forgets some contents that no run needs; gives their digests.
fn unneeded(connection: &Connection, now: SystemTime) -> Result<Vec<String>, Failure> {
    let since = now.checked_sub(UNCLAIMED).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut statement = connection.prepare_cached(
        "DELETE FROM content WHERE digest IN (
             SELECT digest FROM content WHERE kept < ?1
             AND NOT EXISTS (SELECT 1 FROM content_use WHERE content_use.digest = content.digest)
             LIMIT ?2)
         RETURNING digest",
    )?;
    let gone = statement.query_map(params![milliseconds(since), CONTENTS], |row| row.get(0))?;
    Ok(gone.collect::<rusqlite::Result<_>>()?)
}
