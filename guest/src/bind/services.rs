//! `services`: units of systemd.

use mlua::{Lua, Table};

use super::answer::{change, give_with};
use super::process::command;
use crate::sloth::host::services::{self, Definition, Unit};
use crate::sloth::host::types::{Change, Error};

/// One function for each of the contract's.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let acts: [(&str, fn(&str) -> Result<Change, Error>); 7] = [
        ("start", services::start),
        ("stop", services::stop),
        ("restart", services::restart),
        ("reload", services::reload),
        ("enable", services::enable),
        ("disable", services::disable),
        ("remove", services::remove),
    ];
    for (name, act) in acts {
        table.raw_set(
            name,
            lua.create_function(move |lua, name: String| give_with(lua, act(&name), change))?,
        )?;
    }
    table.raw_set(
        "daemon_reload",
        lua.create_function(|lua, ()| give_with(lua, services::daemon_reload(), change))?,
    )?;
    table.raw_set(
        "status",
        lua.create_function(|lua, name: String| {
            give_with(lua, services::status(&name), |lua, status| {
                let table = describe(lua, status.unit)?;
                table.raw_set("enabled", status.enabled)?;
                table.raw_set("file", status.file)?;
                table.raw_set("main_pid", status.main_pid)?;
                table.raw_set("outdated", status.outdated)?;
                Ok(table)
            })
        })?,
    )?;
    table.raw_set(
        "list",
        lua.create_function(|lua, ()| {
            give_with(lua, services::list(), |lua, units| {
                let list = crate::data::new_list(lua)?;
                for unit in units {
                    list.raw_push(describe(lua, unit)?)?;
                }
                Ok(list)
            })
        })?,
    )?;
    table.raw_set(
        "define",
        lua.create_function(|lua, (name, given): (String, Table)| {
            let answer = services::define(&name, &definition(&given)?);
            give_with(lua, answer, change)
        })?,
    )?;
    Ok(table)
}

fn describe(lua: &Lua, unit: Unit) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("name", unit.name)?;
    table.raw_set("description", unit.description)?;
    table.raw_set("load", unit.load)?;
    table.raw_set("active", unit.active)?;
    table.raw_set("sub", unit.sub)?;
    Ok(table)
}

/// The options as `lua/systemd.lua` has checked and completed them.
fn definition(given: &Table) -> mlua::Result<Definition> {
    let environment: Table = given.raw_get("environment")?;
    Ok(Definition {
        description: given.raw_get("description")?,
        kind: given.raw_get("type")?,
        exec_start: command(given.raw_get("exec_start")?)?
            .ok_or_else(|| mlua::Error::runtime("the command is missing"))?,
        exec_stop: command(given.raw_get("exec_stop")?)?,
        exec_reload: command(given.raw_get("exec_reload")?)?,
        user: given.raw_get("user")?,
        group: given.raw_get("group")?,
        working_directory: given.raw_get("working_directory")?,
        environment: environment.pairs().collect::<mlua::Result<_>>()?,
        restart: given.raw_get("restart")?,
        restart_delay: given.raw_get("restart_sec")?,
        after: given.raw_get("after")?,
        wants: given.raw_get("wants")?,
        requires: given.raw_get("requires")?,
        wanted_by: given.raw_get("wanted_by")?,
        writable: given.raw_get("writable")?,
        open: given.raw_get("open")?,
    })
}
