//! `users`: accounts and groups of the node.

use mlua::{Lua, Table, Value};

use super::answer::{change, give_with};
use crate::sloth::host::users::{self, Group, User, Wish};

/// The contract's functions; a wish is a table with its fields in snake case.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "query",
        lua.create_function(|lua, name: String| {
            give_with(lua, users::query(&name), |lua, user| {
                user.map(|user| described(lua, user)).transpose()
            })
        })?,
    )?;
    table.raw_set(
        "list",
        lua.create_function(|lua, ()| {
            give_with(lua, users::list(), |lua, users| {
                listed(lua, users, described)
            })
        })?,
    )?;
    table.raw_set(
        "create",
        lua.create_function(|lua, (name, wish): (String, Table)| {
            give_with(lua, users::create(&name, &read(&wish)?), change)
        })?,
    )?;
    table.raw_set(
        "modify",
        lua.create_function(|lua, (name, wish): (String, Table)| {
            give_with(lua, users::modify(&name, &read(&wish)?), change)
        })?,
    )?;
    table.raw_set(
        "remove",
        lua.create_function(|lua, (name, home): (String, bool)| {
            give_with(lua, users::remove(&name, home), change)
        })?,
    )?;
    bind_groups(lua, &table)?;
    Ok(table)
}

fn bind_groups(lua: &Lua, table: &Table) -> mlua::Result<()> {
    table.raw_set(
        "query_group",
        lua.create_function(|lua, name: String| {
            give_with(lua, users::query_group(&name), |lua, group| {
                group.map(|group| described_group(lua, group)).transpose()
            })
        })?,
    )?;
    table.raw_set(
        "list_groups",
        lua.create_function(|lua, ()| {
            give_with(lua, users::list_groups(), |lua, groups| {
                listed(lua, groups, described_group)
            })
        })?,
    )?;
    table.raw_set(
        "create_group",
        lua.create_function(|lua, (name, gid, system): (String, Option<u32>, bool)| {
            give_with(lua, users::create_group(&name, gid, system), change)
        })?,
    )?;
    table.raw_set(
        "modify_group",
        lua.create_function(
            |lua, (name, gid, members): (String, Option<u32>, Option<Vec<String>>)| {
                let answer = users::modify_group(&name, gid, members.as_deref());
                give_with(lua, answer, change)
            },
        )?,
    )?;
    table.raw_set(
        "remove_group",
        lua.create_function(|lua, name: String| {
            give_with(lua, users::remove_group(&name), change)
        })?,
    )
}

fn read(wish: &Table) -> mlua::Result<Wish> {
    // A field that is not there says nothing, and none of these is true unless it is said.
    let said = |name| Ok::<_, mlua::Error>(wish.raw_get::<Option<bool>>(name)?.unwrap_or(false));
    Ok(Wish {
        uid: wish.raw_get("uid")?,
        group: wish.raw_get("group")?,
        groups: wish.raw_get("groups")?,
        append: said("append")?,
        home: wish.raw_get("home")?,
        with_home: said("with_home")?,
        shell: wish.raw_get("shell")?,
        comment: wish.raw_get("comment")?,
        locked: wish.raw_get("locked")?,
        password: wish.raw_get("password")?,
        expires: wish.raw_get("expires")?,
        system: said("system")?,
    })
}

fn listed<T>(
    lua: &Lua,
    all: Vec<T>,
    describe: impl Fn(&Lua, T) -> mlua::Result<Table>,
) -> mlua::Result<Value> {
    let list = crate::data::new_list(lua)?;
    for one in all {
        list.raw_push(describe(lua, one)?)?;
    }
    Ok(Value::Table(list))
}

fn described(lua: &Lua, user: User) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("username", user.name.as_str())?;
    table.raw_set("name", user.name)?;
    table.raw_set("uid", user.uid)?;
    table.raw_set("gid", user.gid)?;
    table.raw_set("group", user.group)?;
    let groups = crate::data::new_list(lua)?;
    for group in user.groups {
        groups.raw_push(group)?;
    }
    table.raw_set("groups", groups)?;
    table.raw_set("home", user.home)?;
    table.raw_set("shell", user.shell)?;
    table.raw_set("comment", user.comment)?;
    table.raw_set("locked", user.locked)?;
    table.raw_set("has_password", user.has_password)?;
    Ok(table)
}

fn described_group(lua: &Lua, group: Group) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("name", group.name)?;
    table.raw_set("gid", group.gid)?;
    let members = crate::data::new_list(lua)?;
    for member in group.members {
        members.raw_push(member)?;
    }
    table.raw_set("members", members)?;
    Ok(table)
}
