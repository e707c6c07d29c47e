//! What a run has behind it, for a master that comes up again and takes it up from its beginning.

use std::time::SystemTime;

use rusqlite::{Connection, params};

use super::error::Error;
use super::{Store, runs};
use crate::store::file::{milliseconds, moment};

/// What is kept of a run's course.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// When it left the queue.
    pub begun: Option<SystemTime>,
    /// When somebody first asked for its end.
    pub cancelled: Option<SystemTime>,
    /// Keys of the calls that have ended in it and when, in the order in which they did.
    pub ended: Vec<(String, SystemTime)>,
    /// Keys of the calls that an earlier run answered for it.
    pub adopted: Vec<String>,
    /// Keys of those that have not ended.
    pub open: Vec<String>,
}

impl Store {
    /// What a run has behind it.
    pub async fn past(&self, run: &str) -> Result<Past, Error> {
        let run = run.to_owned();
        self.read("past", move |connection| {
            let sequence = runs::sequence(connection, &run)?;
            let (begun, cancelled) = connection
                .prepare_cached("SELECT begun, cancelling FROM run WHERE sequence = ?1")?
                .query_row([sequence], |row| {
                    Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, i64>(1)?))
                })?;
            let mut ended = connection.prepare_cached(
                "SELECT key, ended_at FROM call WHERE run = ?1 AND rank IS NOT NULL ORDER BY rank",
            )?;
            let ended =
                ended.query_map([sequence], |row| Ok((row.get(0)?, moment(row.get(1)?))))?;
            let mut adopted = connection.prepare_cached(
                "SELECT key FROM call WHERE run = ?1 AND ended <> 0 AND rank IS NULL",
            )?;
            let adopted = adopted.query_map([sequence], |row| row.get(0))?;
            let mut open =
                connection.prepare_cached("SELECT key FROM call WHERE run = ?1 AND ended = 0")?;
            let open = open.query_map([sequence], |row| row.get(0))?;
            Ok(Past {
                begun: begun.map(moment),
                cancelled: Some(cancelled).filter(|time| *time > 0).map(moment),
                ended: ended.collect::<rusqlite::Result<_>>()?,
                adopted: adopted.collect::<rusqlite::Result<_>>()?,
                open: open.collect::<rusqlite::Result<_>>()?,
            })
        })
        .await
    }
}

/// Notes that a call has just ended, after all of its run that have.
pub(super) fn note_end(connection: &Connection, run: i64, call: i64) -> rusqlite::Result<()> {
    let rank: i64 = connection
        .prepare_cached("UPDATE run SET ends = ends + 1 WHERE sequence = ?1 RETURNING ends")?
        .query_row([run], |row| row.get(0))?;
    connection
        .prepare_cached("UPDATE call SET rank = ?3, ended_at = ?4 WHERE run = ?1 AND number = ?2")?
        .execute(params![run, call, rank, milliseconds(SystemTime::now())])?;
    Ok(())
}
