//! `secrets`: values that a workflow hands on and does not see.

use mlua::{Lua, Table};

use super::answer::give;
use crate::sloth::host::secrets;

/// `reveal(name)`.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "reveal",
        lua.create_function(|lua, name: String| {
            // The handle lives for the call: what Lua holds is a name.
            give(
                lua,
                secrets::open(&name).and_then(|secret| secrets::reveal(&secret)),
            )
        })?,
    )?;
    Ok(table)
}
