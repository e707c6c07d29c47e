//! Answers of host functions as Lua values.

use mlua::{IntoLua, IntoLuaMulti, Lua, MultiValue, Table, Value};

use crate::cbor;
use crate::data::Data;
use crate::sloth::host::types::{Change, Error, Layer};

/// The value, or `nil` and the error's table.
pub(super) fn give<T: IntoLua>(lua: &Lua, answer: Result<T, Error>) -> mlua::Result<MultiValue> {
    match answer {
        Ok(value) => value.into_lua_multi(lua),
        Err(error) => (mlua::Nil, describe(lua, error)?).into_lua_multi(lua),
    }
}

/// As `give`, for a value that is made with the interpreter at hand.
pub(super) fn give_with<T, V: IntoLua>(
    lua: &Lua,
    answer: Result<T, Error>,
    make: impl FnOnce(&Lua, T) -> mlua::Result<V>,
) -> mlua::Result<MultiValue> {
    match answer {
        Ok(value) => make(lua, value)?.into_lua_multi(lua),
        Err(error) => give::<bool>(lua, Err(error)),
    }
}

/// What a mutating call did: `{ changed, success, message, diff }`.
pub(super) fn change(lua: &Lua, change: Change) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 4)?;
    table.raw_set("changed", change.changed)?;
    table.raw_set("success", true)?;
    table.raw_set("message", change.summary)?;
    table.raw_set("diff", change.diff)?;
    Ok(table)
}

/// A Lua value as the bytes that the contract carries.
pub(super) fn carried(lua: &Lua, value: &Value, what: &str) -> Result<Vec<u8>, Error> {
    match Data::of_lua(lua, value, what) {
        Ok(data) => Ok(cbor::encode(&data)),
        Err(message) => invalid(message),
    }
}

/// An error of this side of the contract, in the host's own form.
pub(super) fn invalid<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(message.into()))
}

fn describe(lua: &Lua, error: Error) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let (kind, message) = match error {
        Error::Denied(denial) => {
            table.raw_set("capability", denial.capability)?;
            table.raw_set("subject", denial.subject)?;
            table.raw_set("layer", layer_name(denial.layer))?;
            table.raw_set("remedy", denial.remedy)?;
            ("denied", denial.message)
        }
        Error::NotWhileLoading(message) => ("not-while-loading", message),
        Error::Invalid(message) => ("invalid", message),
        Error::NotFound(message) => ("not-found", message),
        Error::Exists(message) => ("exists", message),
        Error::WrongKind(message) => ("wrong-kind", message),
        Error::Failed(message) => ("failed", message),
    };
    table.raw_set("kind", kind)?;
    table.raw_set("message", message)?;
    Ok(table)
}

const LAYERS: [(Layer, &str); 7] = [
    (Layer::Declaration, "declaration"),
    (Layer::Policy, "policy"),
    (Layer::Plugin, "plugin"),
    (Layer::Deny, "deny"),
    (Layer::Limit, "limit"),
    (Layer::SelfProtection, "self-protection"),
    (Layer::Kernel, "kernel"),
];

fn layer_name(layer: Layer) -> &'static str {
    LAYERS
        .iter()
        .find(|(known, _)| *known == layer)
        .map_or("policy", |(_, name)| name)
}

/// The layer of that name; a name nobody gave is the policy's.
pub(crate) fn layer_named(name: &str) -> Layer {
    LAYERS
        .iter()
        .find(|(_, known)| *known == name)
        .map_or(Layer::Policy, |(layer, _)| *layer)
}
