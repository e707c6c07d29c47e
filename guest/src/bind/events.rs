//! `events`: events of a workflow's own.

use mlua::{Lua, Table, Value};

use super::answer::{carried, give};
use crate::sloth::host::events;

/// `emit(kind, data)`.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "emit",
        lua.create_function(|lua, (kind, data): (String, Value)| {
            let answer = carried(lua, &data, "the data")
                .and_then(|data| events::emit(&kind, &data))
                .map(|()| true);
            give(lua, answer)
        })?,
    )?;
    Ok(table)
}
