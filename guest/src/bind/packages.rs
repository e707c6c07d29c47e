//! `packages`: packages of the node, through its own manager.

use mlua::{Lua, Table};

use super::answer::{change, give, give_with};
use crate::sloth::host::packages::{self, Package, Wanted};

/// The contract's functions. Packages to install are a list of `{ name, version }`.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "manager",
        lua.create_function(|lua, ()| give(lua, packages::manager()))?,
    )?;
    table.raw_set(
        "query",
        lua.create_function(|lua, (names, manager): (Vec<String>, Option<String>)| {
            give_with(lua, packages::query(&names, manager.as_deref()), listed)
        })?,
    )?;
    table.raw_set(
        "list",
        lua.create_function(|lua, manager: Option<String>| {
            give_with(lua, packages::list(manager.as_deref()), listed)
        })?,
    )?;
    table.raw_set(
        "search",
        lua.create_function(|lua, (text, manager): (String, Option<String>)| {
            give_with(lua, packages::search(&text, manager.as_deref()), listed)
        })?,
    )?;
    table.raw_set(
        "info",
        lua.create_function(|lua, (name, manager): (String, Option<String>)| {
            let answer = packages::info(&name, manager.as_deref());
            give_with(lua, answer, |lua, details| {
                let table = lua.create_table()?;
                table.raw_set("name", details.name)?;
                table.raw_set("version", details.version)?;
                table.raw_set("architecture", details.architecture)?;
                table.raw_set("homepage", details.homepage)?;
                table.raw_set("summary", details.summary)?;
                table.raw_set("description", details.description)?;
                Ok(table)
            })
        })?,
    )?;
    bind_changes(lua, &table)?;
    Ok(table)
}

fn bind_changes(lua: &Lua, table: &Table) -> mlua::Result<()> {
    table.raw_set(
        "install",
        lua.create_function(|lua, (wanted, manager): (Vec<Table>, Option<String>)| {
            let wanted = wanted.iter().map(|one| {
                Ok(Wanted {
                    name: one.raw_get("name")?,
                    version: one.raw_get("version")?,
                })
            });
            let wanted: Vec<_> = wanted.collect::<mlua::Result<_>>()?;
            give_with(lua, packages::install(&wanted, manager.as_deref()), change)
        })?,
    )?;
    table.raw_set(
        "remove",
        lua.create_function(
            |lua, (names, purge, manager): (Vec<String>, bool, Option<String>)| {
                let answer = packages::remove(&names, purge, manager.as_deref());
                give_with(lua, answer, change)
            },
        )?,
    )?;
    table.raw_set(
        "upgrade",
        lua.create_function(|lua, (names, manager): (Vec<String>, Option<String>)| {
            give_with(lua, packages::upgrade(&names, manager.as_deref()), change)
        })?,
    )?;
    table.raw_set(
        "refresh",
        lua.create_function(|lua, manager: Option<String>| {
            give_with(lua, packages::refresh(manager.as_deref()), change)
        })?,
    )
}

fn listed(lua: &Lua, packages: Vec<Package>) -> mlua::Result<Table> {
    let list = crate::data::new_list(lua)?;
    for package in packages {
        let table = lua.create_table()?;
        table.raw_set("name", package.name)?;
        table.raw_set("version", package.version)?;
        table.raw_set("candidate", package.candidate)?;
        table.raw_set("held", package.held)?;
        table.raw_set("summary", package.summary)?;
        list.raw_push(table)?;
    }
    Ok(list)
}
