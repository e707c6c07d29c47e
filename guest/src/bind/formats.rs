//! JSON, YAML and templates, which need no host, in the same form as the nouns: a value, or `nil` and a
//! sentence.

use mlua::{IntoLuaMulti, Lua, LuaString, MultiValue, Table, Value};

use crate::data::{self, Data};
use crate::{json, template, yaml};

/// `encode(value, pretty)`, `decode(text)`: JSON. `yaml_encode(value)`, `yaml_decode(text)`: a list of
/// documents. `render(name, source, context)`. `list_mark`, the
/// metatable that says a table is a list, and `null`.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("list_mark", data::list_mark(lua)?)?;
    table.raw_set("null", Value::NULL)?;
    table.raw_set(
        "encode",
        lua.create_function(|lua, (value, pretty): (Value, bool)| {
            let text =
                Data::of_lua(lua, &value, "value").and_then(|data| json::encode(&data, pretty));
            give(lua, text)
        })?,
    )?;
    table.raw_set(
        "decode",
        lua.create_function(
            |lua, text: LuaString| match json::decode(&text.as_bytes()) {
                Ok(data) => data.into_lua(lua)?.into_lua_multi(lua),
                Err(message) => give(lua, Err(message)),
            },
        )?,
    )?;
    table.raw_set(
        "yaml_encode",
        lua.create_function(|lua, value: Value| {
            let text = Data::of_lua(lua, &value, "value").and_then(|data| yaml::encode(&data));
            give(lua, text)
        })?,
    )?;
    table.raw_set(
        "yaml_decode",
        lua.create_function(|lua, text: LuaString| {
            let text = text.as_bytes();
            let documents = std::str::from_utf8(&text)
                .map_err(|_| "the text is not UTF-8".to_owned())
                .and_then(yaml::decode);
            match documents {
                Ok(documents) => Data::List(documents).into_lua(lua)?.into_lua_multi(lua),
                Err(message) => give(lua, Err(message)),
            }
        })?,
    )?;
    table.raw_set(
        "render",
        lua.create_function(|lua, (name, source, context): (String, LuaString, Value)| {
            let text = Data::of_lua(lua, &context, "vars").and_then(|context| {
                let source = source.as_bytes();
                let source = std::str::from_utf8(&source)
                    .map_err(|_| format!("{name}: a template is UTF-8 text"))?;
                template::render(&name, source, &context)
            });
            give(lua, text)
        })?,
    )?;
    Ok(table)
}

fn give(lua: &Lua, answer: Result<String, String>) -> mlua::Result<MultiValue> {
    match answer {
        Ok(text) => text.into_lua_multi(lua),
        Err(message) => (mlua::Nil, message).into_lua_multi(lua),
    }
}
