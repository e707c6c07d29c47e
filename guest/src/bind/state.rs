//! `state`: values that the node keeps.

use mlua::{Lua, Table, Value};

use super::answer::{carried, change, give, give_with, invalid};
use crate::cbor;
use crate::data::Data;
use crate::sloth::host::state::{self, Number};
use crate::sloth::host::types::Error;

/// `get(key)`, `keys(pattern)`, `set(key, value[, milliseconds])`, `delete(key)`, `clear(pattern)`,
/// `increment(key, by)` and `swap(key, expected, new)`, where nil is no value.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "get",
        lua.create_function(|lua, key: String| {
            give_with(lua, state::get(&key).and_then(read), |lua, data| {
                data.into_lua(lua)
            })
        })?,
    )?;
    table.raw_set(
        "keys",
        lua.create_function(|lua, pattern: String| {
            give_with(lua, state::keys(&pattern), |lua, keys| {
                let list = crate::data::new_list(lua)?;
                for key in keys {
                    list.raw_push(key)?;
                }
                Ok(list)
            })
        })?,
    )?;
    table.raw_set(
        "set",
        lua.create_function(
            |lua, (key, value, lifetime): (String, Value, Option<u64>)| {
                let answer = carried(lua, &value, "the value")
                    .and_then(|value| state::set(&key, &value, lifetime));
                give_with(lua, answer, change)
            },
        )?,
    )?;
    table.raw_set(
        "delete",
        lua.create_function(|lua, key: String| give_with(lua, state::delete(&key), change))?,
    )?;
    table.raw_set(
        "clear",
        lua.create_function(|lua, pattern: String| give_with(lua, state::clear(&pattern), change))?,
    )?;
    bind_atomic(lua, &table)?;
    Ok(table)
}

fn bind_atomic(lua: &Lua, table: &Table) -> mlua::Result<()> {
    table.raw_set(
        "increment",
        lua.create_function(|lua, (key, by): (String, Value)| {
            let answer = match by {
                Value::Integer(by) => state::increment(&key, Number::Integer(by)),
                Value::Number(by) => state::increment(&key, Number::Float(by)),
                _ => invalid("what is added must be a number"),
            };
            give_with(lua, answer, |_, incremented| {
                Ok(match incremented.value {
                    Number::Integer(value) => Value::Integer(value),
                    Number::Float(value) => Value::Number(value),
                })
            })
        })?,
    )?;
    table.raw_set(
        "swap",
        lua.create_function(|lua, (key, expected, new): (String, Value, Value)| {
            let answer = some(lua, &expected).and_then(|expected| {
                let new = some(lua, &new)?;
                state::compare_and_swap(&key, expected.as_deref(), new.as_deref())
            });
            give(lua, answer.map(|swapped| swapped.swapped))
        })?,
    )
}

fn read(value: Option<Vec<u8>>) -> Result<Data, Error> {
    match value {
        None => Ok(Data::Nil),
        Some(bytes) => cbor::decode(&bytes).map_err(Error::Failed),
    }
}

fn some(lua: &Lua, value: &Value) -> Result<Option<Vec<u8>>, Error> {
    if value.is_nil() {
        return Ok(None);
    }
    carried(lua, value, "the value").map(Some)
}
