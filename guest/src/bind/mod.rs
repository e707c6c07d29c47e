//! The contract's imports as Lua sees them, one file per noun.
//!
//! Each function gives its value, or `nil` and a table that says what went wrong. Whether that raises
//! is decided in `lua/errors.lua`, in one place for all of them. Arguments have been checked there too.

mod answer;
mod clock;
mod digests;
mod environment;
mod events;
mod facts;
mod files;
mod formats;
mod http;
mod log;
mod packages;
mod plugins;
mod process;
mod random;
mod secrets;
mod services;
mod state;
mod users;

use mlua::{Lua, Table};

pub(crate) use answer::layer_named;

/// A table with one table per noun.
pub(crate) fn install(lua: &Lua) -> mlua::Result<Table> {
    let host = lua.create_table()?;
    host.raw_set("log", log::bind(lua)?)?;
    host.raw_set("files", files::bind(lua)?)?;
    host.raw_set("process", process::bind(lua)?)?;
    host.raw_set("secrets", secrets::bind(lua)?)?;
    host.raw_set("packages", packages::bind(lua)?)?;
    host.raw_set("users", users::bind(lua)?)?;
    host.raw_set("services", services::bind(lua)?)?;
    host.raw_set("facts", facts::bind(lua)?)?;
    host.raw_set("environment", environment::bind(lua)?)?;
    host.raw_set("state", state::bind(lua)?)?;
    host.raw_set("events", events::bind(lua)?)?;
    host.raw_set("http", http::bind(lua)?)?;
    host.raw_set("clock", clock::bind(lua)?)?;
    host.raw_set("random", random::bind(lua)?)?;
    host.raw_set("plugins", plugins::bind(lua)?)?;
    host.raw_set("formats", formats::bind(lua)?)?;
    host.raw_set("digests", digests::bind(lua)?)?;
    Ok(host)
}
