//! Values under keys.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params};
use sloth_sandbox::ports::Problem;
use sloth_sandbox::ports::state::{Entry, MOST_BYTES, MOST_KEYS, Plan, State, Write, full};

use super::database::{Database, Failure};
use crate::store::file::{count, milliseconds, moment};

impl State for Database {
    fn get(&self, key: &str) -> Result<Option<Entry>, Problem> {
        self.read(|connection| Ok(find(connection, key, now())?))
    }

    fn keys(&self) -> Result<Vec<String>, Problem> {
        self.read(|connection| Ok(living(connection, now())?))
    }

    fn change(&self, key: &str, plan: &mut Plan<'_>) -> Result<(), Problem> {
        self.write(|connection| {
            let now = now();
            sweep(connection, now)?;
            match plan(find(connection, key, now)?.as_ref()) {
                None => {}
                Some(Write::Delete) => {
                    connection.execute("DELETE FROM state WHERE key = ?1", [key])?;
                }
                Some(Write::Put(entry)) => put(connection, key, &entry)?,
            }
            Ok(())
        })
    }

    fn clear(&self, wanted: &mut dyn FnMut(&str) -> bool) -> Result<u64, Problem> {
        self.write(|connection| {
            let now = now();
            sweep(connection, now)?;
            let mut cleared = 0;
            let mut delete = connection.prepare("DELETE FROM state WHERE key = ?1")?;
            for key in living(connection, now)? {
                if wanted(&key) {
                    cleared += delete.execute([key])? as u64;
                }
            }
            Ok(cleared)
        })
    }
}

fn now() -> i64 {
    milliseconds(SystemTime::now())
}

fn find(connection: &Connection, key: &str, now: i64) -> rusqlite::Result<Option<Entry>> {
    let mut statement = connection.prepare_cached(
        "SELECT value, expires FROM state WHERE key = ?1 AND (expires IS NULL OR expires > ?2)",
    )?;
    let entry = |row: &rusqlite::Row<'_>| {
        Ok(Entry {
            value: row.get(0)?,
            expires: row.get::<_, Option<i64>>(1)?.map(moment),
        })
    };
    statement.query_row(params![key, now], entry).optional()
}

fn living(connection: &Connection, now: i64) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT key FROM state WHERE expires IS NULL OR expires > ?1 ORDER BY key",
    )?;
    statement.query_map([now], |row| row.get(0))?.collect()
}

fn put(connection: &Connection, key: &str, entry: &Entry) -> Result<(), Failure> {
    connection.execute(
        "INSERT INTO state (key, value, expires) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires",
        params![key, entry.value, entry.expires.map(milliseconds)],
    )?;
    let (keys, bytes): (u64, u64) =
        connection.query_row("SELECT keys, bytes FROM state_size", [], |row| {
            Ok((count(row, 0)?, count(row, 1)?))
        })?;
    // What was put is taken back with all of the transaction.
    if keys > MOST_KEYS || bytes > MOST_BYTES {
        return Err(Failure::Said(full()));
    }
    Ok(())
}

/// Removes what has expired.
fn sweep(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM state WHERE expires <= ?1")?
        .execute([now])?;
    Ok(())
}
