//! `process`: programs of the node.

use std::time::Duration;

use mlua::{Lua, LuaString, Table, Value};

use super::answer::{change, give, give_with, invalid};
use crate::sloth::host::process::{self, Command, Output, Request};
use crate::sloth::host::secrets::{self, Secret};
use crate::sloth::host::types::Error;

/// `run(request)` and `spawn(request)`, a table with the contract's fields in snake case;
/// `collect(number)`, `kill(number)`.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "run",
        lua.create_function(|lua, request: Table| {
            let answer = ask(&request, process::run)?;
            give_with(lua, answer, describe)
        })?,
    )?;
    table.raw_set(
        "spawn",
        lua.create_function(|lua, request: Table| {
            let answer = ask(&request, process::spawn)?;
            give(lua, answer)
        })?,
    )?;
    table.raw_set(
        "collect",
        lua.create_function(|lua, number: u32| give_with(lua, process::collect(number), describe))?,
    )?;
    table.raw_set(
        "kill",
        lua.create_function(|lua, number: u32| give(lua, process::kill(number).map(|()| true)))?,
    )?;
    Ok(table)
}

/// Asks for a program, with handles on the secrets for as long as that takes.
fn ask<T>(
    request: &Table,
    call: impl FnOnce(&Request<'_>) -> Result<T, Error>,
) -> mlua::Result<Result<T, Error>> {
    let mut handles: Vec<(String, Secret)> = Vec::new();
    let secrets: Table = request.raw_get("secrets")?;
    for pair in secrets.sequence_values::<Table>() {
        let pair = pair?;
        let name: String = pair.raw_get(2)?;
        match secrets::open(&name) {
            Ok(secret) => handles.push((pair.raw_get(1)?, secret)),
            Err(error) => return Ok(Err(error)),
        }
    }
    let asked = read(request)?.and_then(|mut request| {
        let lent = handles.iter().map(|(name, secret)| (name.clone(), secret));
        request.secrets = lent.collect();
        call(&request)
    });
    Ok(asked)
}

/// All of a request but its secrets.
fn read<'a>(request: &Table) -> mlua::Result<Result<Request<'a>, Error>> {
    let Some(command) = command(request.raw_get("command")?)? else {
        return Ok(invalid("a command is a string or a list of strings"));
    };
    let mut variables = Vec::new();
    for pair in request.raw_get::<Table>("env")?.sequence_values::<Table>() {
        let pair = pair?;
        variables.push((pair.raw_get(1)?, pair.raw_get(2)?));
    }
    let stdin: Option<LuaString> = request.raw_get("stdin")?;
    Ok(Ok(Request {
        command,
        workdir: request.raw_get("workdir")?,
        env: variables,
        secrets: Vec::new(),
        stdin: stdin.map(|bytes| bytes.as_bytes().to_vec()),
        timeout: request.raw_get("timeout")?,
        user: request.raw_get("user")?,
        read_only: request.raw_get("read_only")?,
        creates: request.raw_get("creates")?,
    }))
}

/// A line or a list of words; none for anything else.
pub(super) fn command(value: Value) -> mlua::Result<Option<Command>> {
    Ok(match value {
        Value::String(text) => Some(Command::Text(text.to_str()?.to_owned())),
        Value::Table(words) => Some(Command::Argv(
            words
                .sequence_values::<String>()
                .collect::<mlua::Result<_>>()?,
        )),
        _ => None,
    })
}

fn describe(lua: &Lua, output: Output) -> mlua::Result<Table> {
    let table = change(lua, output.change)?;
    table.raw_set("exit_code", output.exit_code)?;
    table.raw_set("signal", output.signal)?;
    table.raw_set("stdout", lua.create_string(output.stdout)?)?;
    table.raw_set("stderr", lua.create_string(output.stderr)?)?;
    table.raw_set("timed_out", output.timed_out)?;
    table.raw_set("hint", output.hint)?;
    if let Some(used) = output.resources {
        let resources = lua.create_table()?;
        resources.raw_set("user_time", seconds(used.user_time))?;
        resources.raw_set("system_time", seconds(used.system_time))?;
        resources.raw_set("memory", used.memory)?;
        table.raw_set("resources", resources)?;
    }
    Ok(table)
}

/// Lua counts time in seconds.
fn seconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64()
}
