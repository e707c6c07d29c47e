//! `environment`: the runner's environment, name by name.

use mlua::{Lua, Table};

use super::answer::give;
use crate::sloth::host::environment;

/// `get(name)`.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "get",
        lua.create_function(|lua, name: String| give(lua, environment::get(&name)))?,
    )?;
    Ok(table)
}
