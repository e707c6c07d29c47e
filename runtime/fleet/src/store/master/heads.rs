//! Where the audits of agents ended, as they told: what an agent's machine loses or makes anew since then is found there.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, Row, params};
use sloth_sandbox::ports::audit::Head;

use super::Store;
use super::error::Error;
use crate::store::file::{count, milliseconds, moment};

/// What lies closer together gives way to what is newer.
const APART: Duration = Duration::from_mins(10);
/// Most that are kept of one agent; the oldest go.
const MOST: i64 = 1000;

/// Where an agent's audit ended, and when it said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldHead {
    pub head: Head,
    pub told: SystemTime,
}

impl Store {
    /// The heads that an agent told of, oldest first.
    pub async fn audit_heads(&self, agent: &str) -> Result<Vec<ToldHead>, Error> {
        let agent = agent.to_owned();
        self.read("audit_heads", move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT sequence, number, hash, told FROM audit_head WHERE agent = ?1 ORDER BY sequence",
            )?;
            let heads = statement.query_map([agent], |row| Ok(from_row(row)?.1))?;
            Ok(heads.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// Keeps a head; of whom nothing else is known, nothing is kept.
pub(super) fn keep(connection: &Connection, agent: &str, told: &ToldHead) -> rusqlite::Result<()> {
    let known = connection
        .prepare_cached("SELECT 1 FROM agent WHERE name = ?1")?
        .exists([agent])?;
    if !known {
        return Ok(());
    }
    let latest: Vec<(i64, ToldHead)> = connection
        .prepare_cached(
            "SELECT sequence, number, hash, told FROM audit_head WHERE agent = ?1
             ORDER BY sequence DESC LIMIT 2",
        )?
        .query_map([agent], from_row)?
        .collect::<rusqlite::Result<_>>()?;
    let sequence = match latest.as_slice() {
        [(_, last), ..] if last.head == told.head => return Ok(()),
        // Where an audit went back, that is what has to be found.
        [(sequence, last), (_, before)]
            if told.head.number > last.head.number
                && last.head.number > before.head.number
                && !is_apart(before, last) =>
        {
            *sequence
        }
        [(sequence, _), ..] => sequence + 1,
        [] => 1,
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO audit_head (agent, sequence, number, hash, told)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            agent,
            sequence,
            i64::try_from(told.head.number).unwrap_or(i64::MAX),
            told.head.hash,
            milliseconds(told.told)
        ])?;
    connection
        .prepare_cached("DELETE FROM audit_head WHERE agent = ?1 AND sequence <= ?2")?
        .execute(params![agent, sequence - MOST])?;
    Ok(())
}

fn is_apart(before: &ToldHead, after: &ToldHead) -> bool {
    let between = after.told.duration_since(before.told);
    // A clock that was set back tells nothing.
    between.is_ok_and(|between| between >= APART)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(i64, ToldHead)> {
    let head = Head {
        number: count(row, 1)?,
        hash: row.get(2)?,
    };
    let told = moment(row.get(3)?);
    Ok((row.get(0)?, ToldHead { head, told }))
}
