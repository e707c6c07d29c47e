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
    )?;
    table.raw_set(
        "packages",
        lua.create_function(|lua, ()| {
            give_with(lua, facts::packages(), |lua, packages| {
                let list = crate::data::new_list(lua)?;
                for package in packages.installed {
                    let table = lua.create_table()?;
                    table.raw_set("name", package.name)?;
                    table.raw_set("version", package.version)?;
                    list.raw_push(table)?;
                }
                let table = lua.create_table()?;
                table.raw_set("manager", packages.manager)?;
                table.raw_set("installed_count", list.raw_len())?;
                table.raw_set("packages", list)?;
                Ok(table)
            })
        })?,
    )?;
    table.raw_set(
        "users",
        lua.create_function(|lua, ()| {
            give_with(lua, facts::users(), |lua, users| {
                let list = crate::data::new_list(lua)?;
                for user in users {
                    let table = lua.create_table()?;
                    table.raw_set("username", user.name)?;
                    table.raw_set("uid", user.uid)?;
                    table.raw_set("gid", user.gid)?;
                    table.raw_set("home", user.home)?;
                    table.raw_set("shell", user.shell)?;
                    list.raw_push(table)?;
                }
                Ok(list)
            })
        })?,
    )?;
    table.raw_set(
        "services",
        lua.create_function(|lua, ()| {
            give_with(lua, facts::services(), |lua, services| {
                let list = crate::data::new_list(lua)?;
                for service in services {
                    let table = lua.create_table()?;
                    table.raw_set("name", service.name)?;
                    table.raw_set("description", service.description)?;
                    table.raw_set("load", service.load)?;
                    table.raw_set("active", service.active)?;
                    table.raw_set("sub", service.sub)?;
                    list.raw_push(table)?;
                }
                Ok(list)
            })
        })?,
    )?;
    table.raw_set(
        "processes",
        lua.create_function(|lua, ()| {
            give_with(lua, facts::processes(), |lua, processes| {
                let list = crate::data::new_list(lua)?;
                for process in processes {
                    let table = lua.create_table()?;
                    table.raw_set("pid", process.pid)?;
                    table.raw_set("parent", process.parent)?;
                    table.raw_set("name", process.name)?;
                    table.raw_set("state", process.state)?;
                    table.raw_set("uid", process.uid)?;
                    table.raw_set("memory", process.memory)?;
                    list.raw_push(table)?;
                }
                Ok(list)
            })
        })?,
    )
}
