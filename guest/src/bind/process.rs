//! `process`: programs of the node.

use mlua::{Lua, LuaString, Table, Value};

use super::answer::{change, give, give_with, invalid};
use super::clock::milliseconds;
use crate::sloth::host::process::{self, Command, Output, Request};
use crate::sloth::host::types::Error;

/// `run(request)` and `spawn(request)`, a table with the contract's fields in snake case;
/// `wait(numbers[, seconds])`, `collect(number)`, `kill(number)`.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "run",
        lua.create_function(|lua, request: Table| {
            let answer = read(&request)?.and_then(|request| process::run(&request));
            give_with(lua, answer, describe)
        })?,
    )?;
    table.raw_set(
        "spawn",
        lua.create_function(|lua, request: Table| {
            let answer = read(&request)?.and_then(|request| process::spawn(&request));
            give(lua, answer)
        })?,
    )?;
    table.raw_set(
        "wait",
        lua.create_function(|lua, (numbers, seconds): (Vec<u32>, Option<f64>)| {
            give(lua, process::wait(&numbers, seconds.map(milliseconds)))
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

fn read(request: &Table) -> mlua::Result<Result<Request, Error>> {
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
    Ok(table)
}
