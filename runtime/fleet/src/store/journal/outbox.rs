//! The table of what is yet to be delivered.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::calls::{self, count, whole};
use super::journal::{Bounds, Call, Item, What};

/// What the writer knows of the table without asking it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// The last number given.
    pub(super) given: u64,
    /// Bytes that have a number and are not known to be kept.
    on_its_way: u64,
    /// Entries that wait for a number.
    waiting: u64,
    /// Bytes of those that may be dropped.
    droppable: u64,
}

/// Something to be delivered.
pub(super) struct Entry<'a> {
    pub(super) run: &'a str,
    pub(super) ends: Option<&'a Call>,
    /// Lines in it, where it may be dropped.
    pub(super) lines: u64,
    pub(super) lost: bool,
    pub(super) body: &'a [u8],
}

impl Tally {
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let given: i64 = connection.query_row("SELECT given FROM journal", [], |row| row.get(0))?;
        connection.query_row(
            "SELECT coalesce(sum(length(body)) FILTER (WHERE number IS NOT NULL), 0),
                    count(*) FILTER (WHERE number IS NULL),
                    coalesce(sum(length(body)) FILTER (WHERE number IS NULL AND lines > 0), 0)
             FROM outbox",
            [],
            |row| {
                Ok(Self {
                    given: count(given),
                    on_its_way: count(row.get(0)?),
                    waiting: count(row.get(1)?),
                    droppable: count(row.get(2)?),
                })
            },
        )
    }

    /// Whether anything waits until there is room on the way.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    pub(super) fn add(
        &mut self,
        connection: &Connection,
        bounds: &Bounds,
        entry: &Entry<'_>,
    ) -> rusqlite::Result<()> {
        let size = entry.body.len() as u64;
        let number = (self.waiting == 0 && self.on_its_way < bounds.window).then(|| self.given + 1);
        if let Some(number) = number {
            self.given = number;
            self.on_its_way += size;
        } else {
            self.waiting += 1;
            if entry.lines > 0 {
                self.droppable += size;
            }
        }
        connection
            .prepare_cached(
                "INSERT INTO outbox (number, run, call, fence, lines, lost, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                number.map(whole),
                entry.run,
                entry.ends.map(|call| whole(call.number)),
                entry.ends.map(|call| whole(call.fence)),
                whole(entry.lines),
                entry.lost,
                entry.body
            ])?;
        Ok(())
    }

    /// Everything up to a number is kept by the master.
    pub(super) fn kept(&mut self, connection: &Connection, number: u64) -> rusqlite::Result<()> {
        let gone: i64 = connection
            .prepare_cached("SELECT coalesce(sum(length(body)), 0) FROM outbox WHERE number <= ?1")?
            .query_row([whole(number)], |row| row.get(0))?;
        connection
            .prepare_cached("DELETE FROM outbox WHERE number <= ?1")?
            .execute([whole(number)])?;
        self.on_its_way = self.on_its_way.saturating_sub(count(gone));
        Ok(())
    }

    /// Gives numbers to what waits, as far as there is room on the way.
    pub(super) fn number(
        &mut self,
        connection: &Connection,
        bounds: &Bounds,
    ) -> rusqlite::Result<()> {
        while self.waiting > 0 && self.on_its_way < bounds.window {
            let next: (i64, i64, i64) = connection
                .prepare_cached(
                    "SELECT seq, length(body), lines FROM outbox WHERE number IS NULL
                     ORDER BY seq LIMIT 1",
                )?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let (seq, size, lines) = (next.0, count(next.1), next.2);
            self.given += 1;
            connection
                .prepare_cached("UPDATE outbox SET number = ?2 WHERE seq = ?1")?
                .execute([seq, whole(self.given)])?;
            self.waiting -= 1;
            self.on_its_way += size;
            if lines > 0 {
                self.droppable = self.droppable.saturating_sub(size);
            }
        }
        Ok(())
    }

    /// Drops output, the oldest first, until there is room again. What stood first of a run's now stands for
    /// all of it.
    pub(super) fn shed(
        &mut self,
        connection: &Connection,
        bounds: &Bounds,
    ) -> rusqlite::Result<()> {
        if self.droppable <= bounds.output {
            return Ok(());
        }
        let enough = bounds.output - bounds.output / 8;
        let mut notices = notices(connection)?;
        let mut oldest = connection.prepare(
            "SELECT seq, run, lines, length(body) FROM outbox
             WHERE number IS NULL AND lines > 0 AND NOT lost ORDER BY seq",
        )?;
        let mut dropped: Vec<(i64, String, i64)> = Vec::new();
        let mut rows = oldest.query([])?;
        while let Some(row) = rows.next()?
            && self.droppable > enough
        {
            dropped.push((row.get(0)?, row.get(1)?, row.get(2)?));
            self.droppable = self.droppable.saturating_sub(count(row.get(3)?));
        }
        for (seq, run, lines) in dropped {
            if let Some(notice) = notices.get(&run) {
                connection
                    .prepare_cached("UPDATE outbox SET lines = lines + ?2 WHERE seq = ?1")?
                    .execute([*notice, lines])?;
                connection
                    .prepare_cached("DELETE FROM outbox WHERE seq = ?1")?
                    .execute([seq])?;
                self.waiting -= 1;
            } else {
                connection
                    .prepare_cached("UPDATE outbox SET lost = 1, body = x'' WHERE seq = ?1")?
                    .execute([seq])?;
                notices.insert(run, seq);
            }
        }
        Ok(())
    }

    pub(super) fn keep(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE journal SET given = ?1")?
            .execute([whole(self.given)])?;
        Ok(())
    }

    /// Begins to number anew, as a journal with another name.
    pub(super) fn renew(&mut self, connection: &Connection, id: &str) -> rusqlite::Result<()> {
        // What has a number comes before what has none, and both are in order already.
        connection.execute("UPDATE journal SET id = ?1, given = 0", [id])?;
        connection.execute("UPDATE outbox SET number = NULL", [])?;
        *self = Self::of(connection)?;
        Ok(())
    }
}

/// Where lines that were dropped are told of already, by run.
fn notices(connection: &Connection) -> rusqlite::Result<BTreeMap<String, i64>> {
    let mut statement = connection
        .prepare("SELECT run, seq FROM outbox WHERE number IS NULL AND lost ORDER BY seq DESC")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// What has a number beyond `after`, in order; at most about `bytes` of it, and at least one.
pub(super) fn after(
    connection: &Connection,
    after: u64,
    bytes: usize,
) -> rusqlite::Result<Vec<Item>> {
    let mut statement = connection.prepare_cached(
        "SELECT number, run, lines, lost, body FROM outbox WHERE number > ?1 ORDER BY number LIMIT 1000",
    )?;
    let mut rows = statement.query([whole(after)])?;
    let mut items = Vec::new();
    let mut size = 0;
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get(4)?;
        size += body.len();
        if size > bytes && !items.is_empty() {
            break;
        }
        let lost: bool = row.get(3)?;
        items.push(Item {
            number: count(row.get(0)?),
            run: row.get(1)?,
            what: if lost {
                What::Lost(count(row.get(2)?))
            } else {
                What::Kept(body)
            },
        });
    }
    Ok(items)
}

/// The first number that is not known to be kept, if there is one.
pub(super) fn first(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let first: Option<i64> =
        connection.query_row("SELECT min(number) FROM outbox", [], |row| row.get(0))?;
    Ok(first.map(count))
}

/// The calls whose ends are not known to be kept.
pub(super) fn ends(connection: &Connection) -> rusqlite::Result<Vec<Call>> {
    let mut statement = connection
        .prepare("SELECT run, call, fence FROM outbox WHERE call IS NOT NULL ORDER BY seq")?;
    let calls = statement.query_map([], calls::call)?;
    calls.collect()
}
