//! JSON, YAML, TOML and templates, which need no host, in the same form as the nouns: a value, or `nil` and a
//! sentence.

use mlua::{IntoLuaMulti, Lua, LuaString, MultiValue, Table, Value};

use crate::data::{self, Data};
use crate::{json, template, toml, yaml};

/// `json_encode(value, pretty)`, `json_decode(text)`, and the same of `yaml`, which gives a list of
/// documents, and of `toml`. `render(name, source, context)`. `list_mark`, the metatable that says a table
/// is a list, and `null`.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("list_mark", data::list_mark(lua)?)?;
    table.raw_set("null", Value::NULL)?;
    codec(lua, &table, "json", json::encode, json::decode)?;
    codec(
        lua,
        &table,
        "yaml",
        |data, _| yaml::encode(data),
        |text| yaml::decode(utf8(text)?).map(Data::List),
    )?;
    codec(
        lua,
        &table,
        "toml",
        |data, _| toml::encode(data),
        |text| toml::decode(utf8(text)?),
    )?;
    table.raw_set(
        "render",
        lua.create_function(|lua, (name, source, context): (String, LuaString, Value)| {
            let text = Data::of_lua(lua, &context, "vars").and_then(|context| {
                let source = source.as_bytes();
                let source = utf8(&source).map_err(|problem| format!("{name}: {problem}"))?;
                template::render(&name, source, &context)
            });
            give(lua, text)
        })?,
    )?;
    Ok(table)
}

/// A format's two functions: `NAME_encode(value, pretty)` and `NAME_decode(text)`.
fn codec(
    lua: &Lua,
    table: &Table,
    name: &str,
    encode: fn(&Data, bool) -> Result<String, String>,
    decode: fn(&[u8]) -> Result<Data, String>,
) -> mlua::Result<()> {
    table.raw_set(
        format!("{name}_encode"),
        lua.create_function(move |lua, (value, pretty): (Value, Option<bool>)| {
            let text = Data::of_lua(lua, &value, "value")
                .and_then(|data| encode(&data, pretty.unwrap_or(false)));
            give(lua, text)
        })?,
    )?;
    table.raw_set(
        format!("{name}_decode"),
        lua.create_function(move |lua, text: LuaString| match decode(&text.as_bytes()) {
            Ok(data) => data.into_lua(lua)?.into_lua_multi(lua),
            Err(message) => give(lua, Err(message)),
        })?,
    )
}

fn utf8(text: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(text).map_err(|_| "the text is not UTF-8".to_owned())
}

fn give(lua: &Lua, answer: Result<String, String>) -> mlua::Result<MultiValue> {
    match answer {
        Ok(text) => text.into_lua_multi(lua),
        Err(message) => (mlua::Nil, message).into_lua_multi(lua),
    }
}
