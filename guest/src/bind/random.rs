//! `random`: random bytes.

use mlua::{Lua, Table};

use crate::sloth::host::random;

/// `bytes(length)`.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "bytes",
        lua.create_function(|lua, length: u32| lua.create_string(random::bytes(length)))?,
    )?;
    Ok(table)
}
