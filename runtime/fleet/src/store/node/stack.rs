//! What the runs of a stack leave for those after them.

use std::time::SystemTime;

use rusqlite::{Connection, params};
use sloth_sandbox::ports::Problem;
use sloth_sandbox::ports::stacks::{MOST_BYTES, Outputs, Stacks, full};
use sloth_workflow::{Value, cbor};

use super::database::{Database, Failure};
use crate::store::file::{count, milliseconds, moment};

/// A stack that has outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    pub name: String,
    /// How many keys it has.
    pub outputs: u64,
    /// When the last of them was set.
    pub changed: SystemTime,
}

impl Database {
    /// Every stack that has outputs, by name.
    pub fn stacks(&self) -> Result<Vec<Stack>, Problem> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT stack, count(*), max(changed) FROM stack_output GROUP BY stack ORDER BY stack",
            )?;
            let stacks = statement.query_map([], |row| {
                Ok(Stack {
                    name: row.get(0)?,
                    outputs: count(row, 1)?,
                    changed: moment(row.get(2)?),
                })
            })?;
            Ok(stacks.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Removes a stack's outputs; gives how many there were.
    pub fn delete_stack(&self, name: &str) -> Result<usize, Problem> {
        self.write(|connection| {
            Ok(connection.execute("DELETE FROM stack_output WHERE stack = ?1", [name])?)
        })
    }
}

impl Stacks for Database {
    fn outputs(&self, stack: &str) -> Result<Outputs, Problem> {
        self.read(|connection| held(connection, stack))
    }

    fn keep(&self, stack: &str, outputs: &Outputs) -> Result<(), Problem> {
        self.write(|connection| {
            let now = milliseconds(SystemTime::now());
            for (key, value) in outputs {
                if *value == Value::Null {
                    connection.execute(
                        "DELETE FROM stack_output WHERE stack = ?1 AND key = ?2",
                        [stack, key],
                    )?;
                    continue;
                }
                // What is so already keeps its time.
                connection.execute(
                    "INSERT INTO stack_output (stack, key, value, changed) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (stack, key) DO UPDATE
                     SET value = excluded.value, changed = excluded.changed
                     WHERE value <> excluded.value",
                    params![stack, key, cbor::encode(value), now],
                )?;
            }
            let bytes: u64 = connection.query_row(
                "SELECT coalesce(sum(length(CAST(key AS BLOB)) + length(value)), 0)
                 FROM stack_output WHERE stack = ?1",
                [stack],
                |row| count(row, 0),
            )?;
            if bytes > MOST_BYTES {
                return Err(Failure::Said(full()));
            }
            Ok(())
        })
    }
}

fn held(connection: &Connection, stack: &str) -> Result<Outputs, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT key, value FROM stack_output WHERE stack = ?1")?;
    let mut rows = statement.query([stack])?;
    let mut outputs = Outputs::new();
    while let Some(row) = rows.next()? {
        let (key, bytes): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let value = cbor::decode(&bytes, cbor::Bounds::DATA).map_err(|error| {
            Failure::Said(Problem(format!(
                "the output `{}` of the stack cannot be read ({error}); sloth-runner stack delete \
                 removes it",
                sloth_workflow::Untrusted::new(key.as_str()).escaped()
            )))
        })?;
        outputs.insert(key, value);
    }
    Ok(outputs)
}
