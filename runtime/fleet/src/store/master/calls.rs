//! Calls: one part of a task, made once on one target. Whoever asks again finds the same call; whoever is given it
//! gets a higher fence than all before.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::{Error, Failure};
use super::events::{self, Appended, Fresh};
use super::{Store, past, runs};
use crate::store::file::count;

/// A call of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub run: String,
    /// In the run, from 1.
    pub number: u64,
    /// What makes it this call and no other: pipeline, subject, part, attempt.
    pub key: String,
    /// To whom it is given.
    pub agent: String,
    /// Of the last time it was given out; 0 before the first.
    pub fence: u64,
    /// The one that the agent had then; empty before the first time.
    pub journal: String,
    pub end: Option<CallEnd>,
}

/// A call that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The same whenever the run comes to it.
    pub key: String,
    pub agent: String,
    /// The agent's journal, if it is there.
    pub journal: Option<String>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEnd {
    /// As `wire::finished` reads it.
    pub finished: Vec<u8>,
    /// The agent came up again in the middle of it.
    pub interrupted: bool,
}

impl Store {
    /// Keeps what a run said before, and opens calls: those with these keys, and new ones where there are none yet. A new
    /// one is given out at once where its agent is there; tells of each whether it was. A run that was queued has begun
    /// with that.
    pub async fn open_calls(
        &self,
        run: &str,
        events: Vec<Fresh>,
        openings: Vec<Opening>,
    ) -> Result<(Appended, Vec<(Call, bool)>), Error> {
        let run = run.to_owned();
        self.write("open_calls", move |writing| {
            let appended = events::append(writing, &run, &events)?;
            let connection = writing.connection;
            let sequence = runs::sequence(connection, &run)?;
            runs::begin(connection, sequence)?;
            let opened = openings
                .iter()
                .map(|opening| open(connection, (sequence, &run), opening));
            Ok((appended, opened.collect::<Result<_, _>>()?))
        })
        .await
    }

    /// Gives a call out, once more or for the first time, to an agent with this journal: whoever had it before is
    /// fenced off. Gives the fence.
    pub async fn give_out(&self, run: &str, call: u64, journal: &str) -> Result<u64, Error> {
        let (run, journal) = (run.to_owned(), journal.to_owned());
        self.write("give_out", move |writing| {
            let connection = writing.connection;
            let sequence = runs::sequence(connection, &run)?;
            let fence = connection
                .prepare_cached(
                    "UPDATE call SET fence = fence + 1, journal = ?3
                     WHERE run = ?1 AND number = ?2 AND ended = 0 RETURNING fence",
                )?
                .query_row(params![sequence, signed(call), journal], |row| {
                    count(row, 0)
                })
                .optional()?;
            match fence {
                Some(fence) => Ok(fence),
                None => Err(missing(connection, sequence, &run, call)?),
            }
        })
        .await
    }

    /// Ends a call from here, whoever has it: it was declined, cancelled before it began, or is unreachable. False if
    /// it has ended already.
    pub async fn end_call(&self, run: &str, call: u64, end: CallEnd) -> Result<bool, Error> {
        let run = run.to_owned();
        self.write("end_call", move |writing| {
            let connection = writing.connection;
            let sequence = runs::sequence(connection, &run)?;
            let ended = connection
                .prepare_cached(
                    "UPDATE call SET ended = 1, finished = ?3, interrupted = ?4, fence = fence + 1
                     WHERE run = ?1 AND number = ?2 AND ended = 0",
                )?
                .execute(params![
                    sequence,
                    signed(call),
                    end.finished,
                    end.interrupted
                ])?;
            if ended > 0 {
                past::note_end(connection, sequence, signed(call))?;
            } else if let Failure::Said(error @ Error::NoCall { .. }) =
                missing(connection, sequence, &run, call)?
            {
                return Err(error.into());
            }
            Ok(ended > 0)
        })
        .await
    }

    pub async fn call(&self, run: &str, call: u64) -> Result<Call, Error> {
        let run = run.to_owned();
        self.read("call", move |connection| {
            let sequence = runs::sequence(connection, &run)?;
            let found = connection
                .prepare_cached(&format!(
                    "{COLUMNS} WHERE call.run = ?1 AND call.number = ?2"
                ))?
                .query_row(params![sequence, signed(call)], from_row)
                .optional()?;
            found.ok_or_else(|| {
                Failure::Said(Error::NoCall {
                    run: run.into(),
                    call,
                })
            })
        })
        .await
    }

    /// The calls of a run that have ended, in the order in which they came.
    pub async fn ended_calls(&self, run: &str) -> Result<Vec<Call>, Error> {
        let run = run.to_owned();
        self.read("ended_calls", move |connection| {
            let sequence = runs::sequence(connection, &run)?;
            let mut statement = connection.prepare_cached(&format!(
                "{COLUMNS} WHERE call.run = ?1 AND call.ended = 1 ORDER BY call.number"
            ))?;
            let calls = statement.query_map([sequence], from_row)?;
            Ok(calls.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Gives a run calls that have ended in an earlier one, and what that one's steps left. A key that it has
    /// already keeps its call.
    pub async fn adopt(&self, run: &str, earlier: &str, calls: Vec<Call>) -> Result<(), Error> {
        let (run, earlier) = (run.to_owned(), earlier.to_owned());
        self.write("adopt", move |writing| {
            let connection = writing.connection;
            let sequence = runs::sequence(connection, &run)?;
            connection
                .prepare_cached(
                    "INSERT INTO content_use (digest, run) SELECT digest, ?1 FROM content_use
                     WHERE run = ?2 ON CONFLICT DO NOTHING",
                )?
                .execute([sequence, runs::sequence(connection, &earlier)?])?;
            for call in &calls {
                let Some(end) = &call.end else { continue };
                if by_key(connection, sequence, &call.key)?.is_some() {
                    continue;
                }
                let number: i64 = connection
                    .prepare_cached(
                        "UPDATE run SET calls = calls + 1 WHERE sequence = ?1 RETURNING calls",
                    )?
                    .query_row([sequence], |row| row.get(0))?;
                connection
                    .prepare_cached(
                        "INSERT INTO call (run, number, key, agent, fence, ended, interrupted, finished)
                         VALUES (?1, ?2, ?3, ?4, 1, 1, ?5, ?6)",
                    )?
                    .execute(params![
                        sequence,
                        number,
                        call.key,
                        call.agent,
                        end.interrupted,
                        end.finished
                    ])?;
            }
            Ok(())
        })
        .await
    }

    /// Of calls that an agent says it has, those that nobody waits for: they have ended, or are none of its own.
    pub async fn settled_calls(
        &self,
        agent: &str,
        calls: Vec<(String, u64)>,
    ) -> Result<BTreeSet<(String, u64)>, Error> {
        let agent = agent.to_owned();
        self.read("settled_calls", move |connection| {
            let mut waited = connection.prepare_cached(
                "SELECT 1 FROM call JOIN run ON run.sequence = call.run
                 WHERE run.id = ?1 AND call.number = ?2 AND call.agent = ?3 AND call.ended = 0",
            )?;
            let mut settled = BTreeSet::new();
            for (run, call) in calls {
                if !waited.exists(params![run, signed(call), agent])? {
                    settled.insert((run, call));
                }
            }
            Ok(settled)
        })
        .await
    }
}

/// Ends what is still out of a run.
pub(super) fn end_all(
    connection: &Connection,
    run: i64,
    finished: &[u8],
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "UPDATE call SET ended = 1, finished = ?2, fence = fence + 1 WHERE run = ?1 AND ended = 0",
        )?
        .execute(params![run, finished])
}

/// Ends a call as the agent that has it reports. False if it is not that agent's, not this time's, or has ended.
pub(super) fn end_reported(
    connection: &Connection,
    run: i64,
    agent: &str,
    (call, fence): (u64, u64),
    end: &CallEnd,
) -> rusqlite::Result<bool> {
    let ended = connection
        .prepare_cached(
            "UPDATE call SET ended = 1, finished = ?5, interrupted = ?6
             WHERE run = ?1 AND number = ?2 AND agent = ?3 AND fence = ?4 AND ended = 0",
        )?
        .execute(params![
            run,
            signed(call),
            agent,
            signed(fence),
            end.finished,
            end.interrupted
        ])?;
    if ended > 0 {
        past::note_end(connection, run, signed(call))?;
    }
    Ok(ended > 0)
}

/// Whether an agent takes part in a run.
pub(super) fn takes_part(connection: &Connection, run: i64, agent: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM call WHERE agent = ?1 AND run = ?2 LIMIT 1")?
        .exists(params![agent, run])
}

fn by_key(connection: &Connection, run: i64, key: &str) -> rusqlite::Result<Option<Call>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE call.run = ?1 AND call.key = ?2"))?
        .query_row(params![run, key], from_row)
        .optional()
}

/// Why there is no open call of this number.
fn missing(
    connection: &Connection,
    sequence: i64,
    run: &str,
    call: u64,
) -> rusqlite::Result<Failure> {
    let there = connection
        .prepare_cached("SELECT 1 FROM call WHERE run = ?1 AND number = ?2")?
        .exists(params![sequence, signed(call)])?;
    let run = run.into();
    Ok(Failure::Said(if there {
        Error::CallEnded { run, call }
    } else {
        Error::NoCall { run, call }
    }))
}

const COLUMNS: &str =
    "SELECT run.id, call.number, call.key, call.agent, call.fence, call.ended, call.finished,
    call.interrupted, call.journal FROM call JOIN run ON run.sequence = call.run";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Call> {
    let ended: bool = row.get(5)?;
    let end = || -> rusqlite::Result<CallEnd> {
        Ok(CallEnd {
            finished: row.get::<_, Option<Vec<u8>>>(6)?.unwrap_or_default(),
            interrupted: row.get(7)?,
        })
    };
    Ok(Call {
        run: row.get(0)?,
        number: count(row, 1)?,
        key: row.get(2)?,
        agent: row.get(3)?,
        fence: count(row, 4)?,
        journal: row.get(8)?,
        end: if ended { Some(end()?) } else { None },
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The call with a key of a run; a new one if there is none yet. Tells whether it was given out with that.
fn open(
    connection: &Connection,
    (sequence, run): (i64, &str),
    opening: &Opening,
) -> Result<(Call, bool), Failure> {
    let Opening {
        key,
        agent,
        journal,
    } = opening;
    if let Some(call) = by_key(connection, sequence, key)? {
        return Ok((call, false));
    }
    let number: i64 = connection
        .prepare_cached("UPDATE run SET calls = calls + 1 WHERE sequence = ?1 RETURNING calls")?
        .query_row([sequence], |row| row.get(0))?;
    let given = journal.is_some();
    let journal = journal.as_deref().unwrap_or_default();
    connection
        .prepare_cached(
            "INSERT INTO call (run, number, key, agent, fence, journal)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![sequence, number, key, agent, given, journal])?;
    let call = Call {
        run: run.to_owned(),
        number: u64::try_from(number).unwrap_or(0),
        key: key.clone(),
        agent: agent.clone(),
        fence: u64::from(given),
        journal: journal.to_owned(),
        end: None,
    };
    Ok((call, given))
}
