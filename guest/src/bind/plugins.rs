//! `plugins`: functions that other components add.

use mlua::{Lua, MultiValue, Table, Value, Variadic};

use super::answer::{give, give_with, invalid};
use crate::cbor;
use crate::data::Data;
use crate::sloth::host::plugins::{self, Answer};
use crate::sloth::host::types::Error;

/// `describe(plugin)`, `call(plugin, function, ...)` and `release(plugin, handle)`. A call gives true and
/// what the function gave, or false and the error that it raised.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "describe",
        lua.create_function(|lua, plugin: String| {
            let described = plugins::describe(&plugin).and_then(|bytes| read(&bytes));
            give_with(lua, described, |lua, data| data.into_lua(lua))
        })?,
    )?;
    table.raw_set(
        "call",
        lua.create_function(
            |lua, (plugin, function, arguments): (String, String, Variadic<Value>)| {
                let answer = carried(lua, &arguments)
                    .and_then(|arguments| plugins::call(&plugin, &function, &arguments));
                answered(lua, answer)
            },
        )?,
    )?;
    table.raw_set(
        "release",
        lua.create_function(|_, (plugin, handle): (String, i64)| {
            plugins::release(&plugin, handle);
            Ok(())
        })?,
    )?;
    Ok(table)
}

fn carried(lua: &Lua, arguments: &[Value]) -> Result<Vec<u8>, Error> {
    let mut items = Vec::with_capacity(arguments.len());
    for (index, value) in arguments.iter().enumerate() {
        match Data::of_lua(lua, value, &format!("argument {}", index + 1)) {
            Ok(data) => items.push(data),
            Err(message) => return invalid(message),
        }
    }
    Ok(cbor::encode(&Data::List(items)))
}

fn answered(lua: &Lua, answer: Result<Answer, Error>) -> mlua::Result<MultiValue> {
    let (given, bytes) = match answer {
        Ok(Answer::Given(bytes)) => (true, bytes),
        Ok(Answer::Raised(bytes)) => (false, bytes),
        Err(error) => return give::<bool>(lua, Err(error)),
    };
    match read(&bytes) {
        Ok(data) => Ok(MultiValue::from_iter([
            Value::Boolean(given),
            data.into_lua(lua)?,
        ])),
        Err(error) => give::<bool>(lua, Err(error)),
    }
}

fn read(bytes: &[u8]) -> Result<Data, Error> {
    cbor::decode(bytes).map_err(Error::Failed)
}
