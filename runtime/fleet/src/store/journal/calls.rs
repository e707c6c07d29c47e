//! The table of calls.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};

use super::journal::{Call, Found};

/// How long the end of a call is kept of which nobody has said that it can go.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);

pub(super) fn begin(connection: &Connection, call: &Call) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO call (run, number, fence, changed) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            call.run,
            whole(call.number),
            whole(call.fence),
            now()
        ])?;
    Ok(())
}

/// Raises the fence of a call that is given out again.
pub(super) fn raise(connection: &Connection, call: &Call) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE call SET fence = max(fence, ?3) WHERE run = ?1 AND number = ?2")?
        .execute(params![call.run, whole(call.number), whole(call.fence)])?;
    Ok(())
}

/// Ends a call, begun or not.
pub(super) fn end(connection: &Connection, call: &Call, body: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO call (run, number, fence, ended, changed) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (run, number) DO UPDATE
             SET fence = max(fence, excluded.fence), ended = excluded.ended, changed = excluded.changed",
        )?
        .execute(params![
            call.run,
            whole(call.number),
            whole(call.fence),
            body,
            now()
        ])?;
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    run: &str,
    number: u64,
) -> rusqlite::Result<Option<Found>> {
    connection
        .prepare_cached("SELECT fence, ended FROM call WHERE run = ?1 AND number = ?2")?
        .query_row(params![run, whole(number)], |row| {
            Ok(Found {
                fence: count(row.get(0)?),
                ended: row.get(1)?,
            })
        })
        .optional()
}

/// The calls that were begun and have no end.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<Vec<Call>> {
    let mut statement =
        connection.prepare("SELECT run, number, fence FROM call WHERE ended IS NULL")?;
    let calls = statement.query_map([], call)?;
    calls.collect()
}

pub(super) fn forget(connection: &Connection, run: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM call WHERE run = ?1", [run])?;
    Ok(())
}

/// Forgets ends that are so old that their master will not ask any more. One that it is not known to keep stays, however
/// old the clock says it is: the master may give that call out again, and it must not be made twice.
pub(super) fn sweep(connection: &Connection) -> rusqlite::Result<()> {
    let oldest = now() - i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
    connection.execute(
        "DELETE FROM call WHERE ended IS NOT NULL AND changed < ?1 AND NOT EXISTS
             (SELECT 1 FROM outbox WHERE outbox.run = call.run AND outbox.call = call.number)",
        [oldest],
    )?;
    Ok(())
}

/// A row of run, number and fence.
pub(super) fn call(row: &rusqlite::Row<'_>) -> rusqlite::Result<Call> {
    Ok(Call {
        run: row.get(0)?,
        number: count(row.get(1)?),
        fence: count(row.get(2)?),
    })
}

/// A count as SQL has it. Numbers that it cannot hold are refused where they come in.
pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
