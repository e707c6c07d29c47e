//! Locks: what one run at a time may have. They are leased, so that what was forgotten comes free, and given back
//! when the run ends.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::watch;

use super::error::{Error, Failure};
use super::writer::Writing;
use super::{Store, runs};
use crate::store::file::milliseconds;

/// What to do where another run has the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenHeld {
    /// Wait in line.
    Queue,
    /// Do not wait; how the run takes that is its own affair (fail, or skip).
    Leave,
}

/// The answer to who wants a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// The run has it, for the time of the lease.
    Held,
    /// Another run has it.
    Busy { by: String },
    /// The run waits, with so many before it. Ask again when [`Store::watch_locks`] tells.
    Waiting { behind: u64 },
}

impl Store {
    /// Takes a lock, or asks again for it. Whoever waits longest gets it first.
    pub async fn lock(
        &self,
        name: &str,
        run: &str,
        when_held: WhenHeld,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Lock, Error> {
        let (name, run) = (name.to_owned(), run.to_owned());
        self.write("lock", move |writing| {
            let run = runs::sequence(writing.connection, &run)?;
            take(writing.connection, &name, run, when_held, lease, now)
        })
        .await
    }

    /// Holds the locks of a run for another lease; gives how many those are. Fewer than it had means that its time ran
    /// out and another run has taken one.
    pub async fn renew_locks(
        &self,
        run: &str,
        lease: Duration,
        now: SystemTime,
    ) -> Result<usize, Error> {
        let run = run.to_owned();
        self.write("renew_locks", move |writing| {
            let sequence = runs::sequence(writing.connection, &run)?;
            Ok(writing
                .connection
                .prepare_cached("UPDATE lock SET until = ?2 WHERE run = ?1")?
                .execute([sequence, milliseconds(now + lease)])?)
        })
        .await
    }

    /// Gives back what a run has and waits for. Ending the run does so too.
    pub async fn unlock(&self, run: &str) -> Result<(), Error> {
        let run = run.to_owned();
        self.write("unlock", move |writing| {
            let sequence = runs::sequence(writing.connection, &run)?;
            release_all(writing, sequence)
        })
        .await
    }

    /// Changes whenever a lock may have become free; a lease that runs out tells nobody.
    pub fn watch_locks(&self) -> watch::Receiver<u64> {
        self.watchers.locks()
    }
}

fn take(
    connection: &Connection,
    name: &str,
    run: i64,
    when_held: WhenHeld,
    lease: Duration,
    now: SystemTime,
) -> Result<Lock, Failure> {
    let holder: Option<(i64, String)> = connection
        .prepare_cached(
            "SELECT lock.run, run.id FROM lock JOIN run ON run.sequence = lock.run
             WHERE lock.name = ?1 AND (lock.until > ?2 OR lock.run = ?3)",
        )?
        .query_row(params![name, milliseconds(now), run], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    if let Some((_, by)) = holder.as_ref().filter(|(holder, _)| *holder != run)
        && when_held == WhenHeld::Leave
    {
        return Ok(Lock::Busy { by: by.clone() });
    }
    let behind = before(connection, name, run)?;
    let free = holder.as_ref().is_none_or(|(holder, _)| *holder == run);
    let mine = holder.is_some() && free;
    if mine || free && behind == 0 {
        hold(connection, name, run, now + lease)?;
        return Ok(Lock::Held);
    }
    if when_held == WhenHeld::Leave {
        let first = connection
            .prepare_cached(
                "SELECT run.id FROM lock_waiting JOIN run ON run.sequence = lock_waiting.run
                 WHERE name = ?1 ORDER BY position",
            )?
            .query_row([name], |row| row.get(0))?;
        return Ok(Lock::Busy { by: first });
    }
    connection
        .prepare_cached(
            "INSERT INTO lock_waiting (name, run) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )?
        .execute(params![name, run])?;
    Ok(Lock::Waiting {
        behind: behind + u64::from(!free),
    })
}

/// How many wait before the run; all of them if it does not wait yet.
fn before(connection: &Connection, name: &str, run: i64) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM lock_waiting WHERE name = ?1 AND position < coalesce(
                 (SELECT position FROM lock_waiting WHERE name = ?1 AND run = ?2), 9223372036854775807)",
        )?
        .query_row(params![name, run], |row| crate::store::file::count(row, 0))
}

fn hold(connection: &Connection, name: &str, run: i64, until: SystemTime) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO lock (name, run, until) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET run = excluded.run, until = excluded.until",
        )?
        .execute(params![name, run, milliseconds(until)])?;
    connection
        .prepare_cached("DELETE FROM lock_waiting WHERE name = ?1 AND run = ?2")?
        .execute(params![name, run])?;
    Ok(())
}

/// Gives back what a run has and waits for.
pub(super) fn release_all(writing: &mut Writing<'_>, run: i64) -> Result<(), Failure> {
    let mut changed = 0;
    for sql in [
        "DELETE FROM lock WHERE run = ?1",
        "DELETE FROM lock_waiting WHERE run = ?1",
    ] {
        changed += writing.connection.prepare_cached(sql)?.execute([run])?;
    }
    if changed > 0 {
        writing.has_unlocked();
    }
    Ok(())
}
