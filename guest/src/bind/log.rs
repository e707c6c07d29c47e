//! `log`: messages of a step.

use mlua::{Lua, LuaString, Table};

use crate::sloth::host::log::{self, Level};

/// `write(level, message)`. Bytes that are not UTF-8 are shown as replacement characters.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "write",
        lua.create_function(|_, (level, message): (LuaString, LuaString)| {
            let level = match &*level.as_bytes() {
                b"debug" => Level::Debug,
                b"success" => Level::Success,
                b"warn" => Level::Warn,
                b"error" => Level::Error,
                b"print" => Level::Print,
                _ => Level::Info,
            };
            log::write(level, &String::from_utf8_lossy(&message.as_bytes()));
            Ok(())
        })?,
    )?;
    Ok(table)
}
