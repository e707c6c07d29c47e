//! `files`: files and folders of the node.

use mlua::{Lua, LuaString, Table};

use super::answer::{change, give, give_with};
use crate::sloth::host::files::{self, Extraction, Kind, Metadata};

/// One function for each of the contract's, with its name and arguments.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    bind_reading(lua, &table)?;
    bind_making(lua, &table)?;
    bind_changing(lua, &table)?;
    Ok(table)
}

fn bind_reading(lua: &Lua, table: &Table) -> mlua::Result<()> {
    table.raw_set(
        "read",
        lua.create_function(|lua, path: String| {
            give_with(lua, files::read(&path), |lua, content| {
                lua.create_string(content)
            })
        })?,
    )?;
    table.raw_set(
        "list",
        lua.create_function(|lua, path: String| {
            give_with(lua, files::list(&path), |lua, entries| {
                let list = lua.create_table_with_capacity(entries.len(), 0)?;
                for (index, entry) in entries.into_iter().enumerate() {
                    let item = lua.create_table_with_capacity(0, 2)?;
                    item.raw_set("name", entry.name)?;
                    item.raw_set("kind", kind_name(entry.kind))?;
                    list.raw_set(index + 1, item)?;
                }
                Ok(list)
            })
        })?,
    )?;
    table.raw_set(
        "stat",
        lua.create_function(|lua, (path, follow): (String, bool)| {
            give_with(lua, files::stat(&path, follow), |lua, stat| {
                stat.map(|stat| describe(lua, stat)).transpose()
            })
        })?,
    )?;
    table.raw_set(
        "hash",
        lua.create_function(|lua, path: String| give(lua, files::hash(&path)))?,
    )?;
    table.raw_set(
        "glob",
        lua.create_function(|lua, pattern: String| give(lua, files::glob(&pattern)))?,
    )?;
    table.raw_set(
        "bundled",
        lua.create_function(|lua, path: String| {
            give_with(lua, files::bundled(&path), |lua, content| {
                content.map(|bytes| lua.create_string(bytes)).transpose()
            })
        })?,
    )
}

fn bind_making(lua: &Lua, table: &Table) -> mlua::Result<()> {
    table.raw_set(
        "write",
        lua.create_function(
            |lua, (path, content, mode): (String, LuaString, Option<u32>)| {
                give_with(lua, files::write(&path, &content.as_bytes(), mode), change)
            },
        )?,
    )?;
    table.raw_set(
        "append",
        lua.create_function(|lua, (path, content): (String, LuaString)| {
            give_with(lua, files::append(&path, &content.as_bytes()), change)
        })?,
    )?;
    table.raw_set(
        "create",
        lua.create_function(
            |lua, (path, content, mode): (String, LuaString, Option<u32>)| {
                give_with(lua, files::create(&path, &content.as_bytes(), mode), change)
            },
        )?,
    )?;
    table.raw_set(
        "mkdir",
        lua.create_function(|lua, (path, parents, mode): (String, bool, Option<u32>)| {
            give_with(lua, files::mkdir(&path, parents, mode), change)
        })?,
    )?;
    table.raw_set(
        "link",
        lua.create_function(|lua, (path, target): (String, String)| {
            give_with(lua, files::link(&path, &target), change)
        })?,
    )
}

fn bind_changing(lua: &Lua, table: &Table) -> mlua::Result<()> {
    table.raw_set(
        "chmod",
        lua.create_function(|lua, (path, mode): (String, u32)| {
            give_with(lua, files::chmod(&path, mode), change)
        })?,
    )?;
    table.raw_set(
        "chown",
        lua.create_function(
            |lua, (path, owner, group): (String, Option<String>, Option<String>)| {
                give_with(
                    lua,
                    files::chown(&path, owner.as_deref(), group.as_deref()),
                    change,
                )
            },
        )?,
    )?;
    table.raw_set(
        "extract",
        lua.create_function(
            |lua, (archive, destination, strip_components): (String, String, u32)| {
                let request = Extraction {
                    archive,
                    destination,
                    strip_components,
                };
                give_with(lua, files::extract(&request), change)
            },
        )?,
    )?;
    table.raw_set(
        "remove",
        lua.create_function(|lua, (path, recursive): (String, bool)| {
            give_with(lua, files::remove(&path, recursive), change)
        })?,
    )?;
    table.raw_set(
        "move",
        lua.create_function(|lua, (source, destination): (String, String)| {
            give_with(lua, files::move_(&source, &destination), change)
        })?,
    )
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Other => "other",
    }
}

fn describe(lua: &Lua, stat: Metadata) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("kind", kind_name(stat.kind))?;
    table.raw_set("size", stat.size)?;
    table.raw_set("mode", stat.mode)?;
    table.raw_set("uid", stat.uid)?;
    table.raw_set("gid", stat.gid)?;
    table.raw_set("owner", stat.owner)?;
    table.raw_set("group", stat.group)?;
    table.raw_set("modified", stat.modified)?;
    table.raw_set("target", stat.target)?;
    Ok(table)
}
