//! `clock`: time. Wall-clock time reaches Lua's `os.time` and `os.date` through `wasi.rs`.

use mlua::{Lua, Table};

use crate::sloth::host::clock;

/// `monotonic()`: seconds since the step began.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "monotonic",
        lua.create_function(|_, ()| {
            Ok(std::time::Duration::from_nanos(clock::monotonic()).as_secs_f64())
        })?,
    )?;
    Ok(table)
}
