//! `http`: requests.

use mlua::{Lua, LuaString, Table, Value};

use super::answer::{change, give, give_with};
use crate::sloth::host::http::{self, Destination, Header, HeaderValue, Keyed, Request, Response};
use crate::sloth::host::secrets::{self, Secret};
use crate::sloth::host::types::Error;

/// `send(request)` and `start(request)`, a table with the contract's fields in snake case;
/// `collect(number)`, `abandon(number)`.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "send",
        lua.create_function(|lua, request: Table| {
            give_with(lua, ask(&request, http::send)?, describe)
        })?,
    )?;
    table.raw_set(
        "start",
        lua.create_function(|lua, request: Table| give(lua, ask(&request, http::start)?))?,
    )?;
    table.raw_set(
        "collect",
        lua.create_function(|lua, number: u32| give_with(lua, http::collect(number), describe))?,
    )?;
    table.raw_set(
        "abandon",
        lua.create_function(|lua, number: u32| give(lua, http::abandon(number).map(|()| true)))?,
    )?;
    Ok(table)
}

/// Sends, with handles on the secrets for as long as asking takes. A header is its name, its text and, at
/// the fourth place, the name of the secret that follows the text.
fn ask<T>(
    request: &Table,
    call: impl FnOnce(&Request<'_>) -> Result<T, Error>,
) -> mlua::Result<Result<T, Error>> {
    let mut given: Vec<(String, String, Option<Secret>)> = Vec::new();
    for header in request
        .raw_get::<Table>("headers")?
        .sequence_values::<Table>()
    {
        let header = header?;
        let secret = match header
            .raw_get::<Option<String>>(4)?
            .as_deref()
            .map(secrets::open)
        {
            Some(Err(error)) => return Ok(Err(error)),
            Some(Ok(secret)) => Some(secret),
            None => None,
        };
        given.push((header.raw_get(1)?, header.raw_get(2)?, secret));
    }
    let mut asked = read(request)?;
    let headers = given.iter().map(|(name, text, secret)| Header {
        name: name.clone(),
        value: match secret {
            None => HeaderValue::Text(text.clone()),
            Some(secret) => HeaderValue::Secret(Keyed {
                before: text.clone(),
                secret,
            }),
        },
    });
    asked.headers = headers.collect();
    Ok(call(&asked))
}

/// All of a request but its headers.
fn read<'a>(request: &Table) -> mlua::Result<Request<'a>> {
    let body: Option<LuaString> = request.raw_get("body")?;
    let destination = match request.raw_get("dest")? {
        Value::Nil => None,
        _ => Some(Destination {
            path: request.raw_get("dest")?,
            mode: request.raw_get("mode")?,
            sha256: request.raw_get("sha256")?,
        }),
    };
    Ok(Request {
        method: request.raw_get("method")?,
        url: request.raw_get("url")?,
        headers: Vec::new(),
        body: body.map(|bytes| bytes.as_bytes().to_vec()),
        timeout: request.raw_get("timeout")?,
        redirects: request.raw_get("redirects")?,
        limit: request.raw_get("limit")?,
        destination,
    })
}

/// The answer with `fields`, a list of header names and values, for Lua to make a table of.
fn describe(lua: &Lua, response: Response) -> mlua::Result<Table> {
    let table = change(lua, response.change)?;
    let fields = lua.create_table_with_capacity(response.headers.len(), 0)?;
    for (index, (name, value)) in response.headers.into_iter().enumerate() {
        let pair =
            lua.create_sequence_from([lua.create_string(name)?, lua.create_string(value)?])?;
        fields.raw_set(index + 1, pair)?;
    }
    table.raw_set("fields", fields)?;
    table.raw_set("status_code", response.status)?;
    table.raw_set("reason", response.reason)?;
    table.raw_set("url", response.url)?;
    table.raw_set("body", lua.create_string(response.body)?)?;
    Ok(table)
}
