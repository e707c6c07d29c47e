//! `facts`: what the node is.

use mlua::{Lua, Table};

use super::answer::{give, give_with};
use crate::sloth::host::facts;

/// One function per section.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "sections",
        lua.create_function(|lua, ()| give(lua, facts::sections()))?,
    )?;
    table.raw_set(
        "hostname",
        lua.create_function(|lua, ()| give(lua, facts::hostname()))?,
    )?;
    table.raw_set(
        "uptime",
        lua.create_function(|lua, ()| give(lua, facts::uptime()))?,
    )?;
    table.raw_set(
        "platform",
        lua.create_function(|lua, ()| {
            give_with(lua, facts::platform(), |lua, platform| {
                let table = lua.create_table()?;
                table.raw_set("os", platform.os)?;
                table.raw_set("arch", platform.arch)?;
                table.raw_set("distribution", platform.distribution)?;
                table.raw_set("version", platform.version)?;
                table.raw_set("kernel", platform.kernel)?;
                table.raw_set("cpus", platform.cpus)?;
                Ok(table)
            })
        })?,
    )?;
    table.raw_set(
        "memory",
        lua.create_function(|lua, ()| {
            give_with(lua, facts::memory(), |lua, memory| {
                let table = lua.create_table()?;
                table.raw_set("total", memory.total)?;
                table.raw_set("available", memory.available)?;
                table.raw_set("swap_total", memory.swap_total)?;
                table.raw_set("swap_free", memory.swap_free)?;
                Ok(table)
            })
        })?,
    )?;
    table.raw_set(
        "load",
        lua.create_function(|lua, ()| {
            give_with(lua, facts::load(), |lua, load| {
                let table = lua.create_table()?;
                table.raw_set("one", load.one)?;
                table.raw_set("five", load.five)?;
                table.raw_set("fifteen", load.fifteen)?;
                Ok(table)
            })
        })?,
    )?;
    bind_lists(lua, &table)?;
    Ok(table)
}

fn bind_lists(lua: &Lua, table: &Table) -> mlua::Result<()> {
    table.raw_set(
        "disk",
        lua.create_function(|lua, ()| {
            give_with(lua, facts::disk(), |lua, disks| {
                let list = crate::data::new_list(lua)?;
                for disk in disks {
                    let table = lua.create_table()?;
                    table.raw_set("mount", disk.mount)?;
                    table.raw_set("device", disk.device)?;
                    table.raw_set("file_system", disk.file_system)?;
                    table.raw_set("total", disk.total)?;
                    table.raw_set("available", disk.available)?;
                    list.raw_push(table)?;
                }
                Ok(list)
            })
        })?,
    )?;
    table.raw_set(
        "network",
        lua.create_function(|lua, ()| {
            give_with(lua, facts::network(), |lua, interfaces| {
                let list = crate::data::new_list(lua)?;
                for interface in interfaces {
                    let table = lua.create_table()?;
                    table.raw_set("name", interface.name)?;
                    table.raw_set("mac", interface.mac)?;
                    table.raw_set("addresses", interface.addresses)?;
                    list.raw_push(table)?;
                }
                Ok(list)
            })
        })?,
    )
}
