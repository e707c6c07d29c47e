//! `state`: the values that workflows keep on this node.

use std::time::SystemTime;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use sloth_fleet::store::node::Database;
use sloth_policy::{Wildcard, parse_duration};
use sloth_sandbox::ports::Problem;
use sloth_sandbox::ports::state::{Entry, State as _, Write, check_key};
use sloth_workflow::event::timestamp;
use sloth_workflow::{Untrusted, Value, cbor};

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::{place, render};

/// Show and change the values that workflows keep on this node.
#[derive(Debug, Args)]
#[command(
    after_help = "Workflows reach these values with the module state, as far as state.read and state.write of
the policy let them. An entry in JSON is {\"key\", \"value\", \"expires\"}, the last being null for
what lives for ever.

Exit codes: 0 done, 1 there is no such key or the store cannot be used, 2 wrong usage.

Examples:
  sloth-runner state list 'app/*'
  sloth-runner state set app/ports '[80, 443]' --json
  sloth-runner state get app/ports --output json"
)]
pub(crate) struct StateOptions {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, Subcommand)]
enum StateCommand {
    /// Print a key's value.
    #[command(after_help = "With --output json: an entry.

Example:\n  sloth-runner state get app/version")]
    Get { key: String },
    /// Put a value under a key.
    #[command(after_help = "With --output json: the entry.

Examples:
  sloth-runner state set app/version 1.4.2
  sloth-runner state set maintenance true --json --ttl 2h")]
    Set {
        key: String,
        /// Text, or JSON with --json.
        value: String,
        /// Read the value as JSON: numbers, lists and the like.
        #[arg(long)]
        json: bool,
        /// How long the key lives, such as 90s, 10m or 12h; for ever without it.
        #[arg(long, value_name = "TIME")]
        ttl: Option<String>,
    },
    /// List keys and their values.
    #[command(after_help = "With --output json: {\"entries\": [entry]}.

Example:\n  sloth-runner state list 'app/*'")]
    List {
        /// Only keys that fit; `*` and `?` stand for characters.
        #[arg(default_value = "*")]
        pattern: String,
    },
    /// Remove a key.
    #[command(after_help = "With --output json: {\"deleted\": 1}.

Example:\n  sloth-runner state delete app/version")]
    Delete { key: String },
    /// Remove all keys that fit a pattern.
    #[command(after_help = "With --output json: {\"deleted\": number}.

Example:\n  sloth-runner state clear 'app/*'")]
    Clear {
        /// `*` and `?` stand for characters; '*' alone is all keys.
        pattern: String,
    },
}

pub(crate) fn state(shared: &Shared, options: &StateOptions) -> anyhow::Result<Exit> {
    let database = Database::beneath(&place::data_folder(shared)?);
    let done = match &options.command {
        StateCommand::Get { key } => get(shared, &database, key),
        StateCommand::Set {
            key,
            value,
            json,
            ttl,
        } => {
            let entry = entry(value, *json, ttl.as_deref())?;
            check_key(key)?;
            set(shared, &database, key, &entry)
        }
        StateCommand::List { pattern } => list(shared, &database, &self::pattern(pattern)?),
        StateCommand::Delete { key } => delete(shared, &database, key),
        StateCommand::Clear { pattern } => clear(shared, &database, &self::pattern(pattern)?),
    };
    Ok(settled(done))
}

/// What the store could not do is a failure, not wrong usage.
pub(crate) fn settled(done: Result<(), Problem>) -> Exit {
    match done {
        Ok(()) => Exit::Succeeded,
        Err(problem) => {
            render::error(&anyhow::Error::new(problem));
            Exit::Failed
        }
    }
}

fn pattern(text: &str) -> anyhow::Result<Wildcard> {
    Wildcard::parse(text).map_err(|reason| anyhow!("the pattern `{text}` {reason}"))
}

fn entry(value: &str, as_json: bool, ttl: Option<&str>) -> anyhow::Result<Entry> {
    let value = if as_json {
        let json: Json = serde_json::from_str(value).context("the value is not JSON")?;
        json.into()
    } else {
        Value::Text(value.to_owned())
    };
    if value == Value::Null {
        return Err(anyhow!("null is no value; state delete removes a key"));
    }
    let value = cbor::encode(&value);
    cbor::decode(&value, cbor::Bounds::DATA).context("the value cannot be kept")?;
    let lifetime = ttl
        .map(parse_duration)
        .transpose()
        .map_err(|reason| anyhow!("--ttl: {reason}"))?;
    let expires = lifetime.map(|lifetime| {
        SystemTime::now()
            .checked_add(lifetime)
            .context("--ttl: that is too long")
    });
    let expires = expires.transpose()?;
    Ok(Entry { value, expires })
}

fn get(shared: &Shared, database: &Database, key: &str) -> Result<(), Problem> {
    let entry = database.get(key)?.ok_or_else(|| missing(key))?;
    match shared.output {
        Output::Json => render::line(&render::json_line(&told(key, &entry)?)),
        Output::Text => match value(key, &entry)? {
            Value::Text(text) => render::line(&Untrusted::new(text).escaped_lines()),
            other => render::line(&render::json_line(&other)),
        },
    }
    Ok(())
}

fn set(shared: &Shared, database: &Database, key: &str, entry: &Entry) -> Result<(), Problem> {
    database.change(key, &mut |_| Some(Write::Put(entry.clone())))?;
    if shared.output == Output::Json {
        render::line(&render::json_line(&told(key, entry)?));
    }
    Ok(())
}

fn list(shared: &Shared, database: &Database, pattern: &Wildcard) -> Result<(), Problem> {
    let mut entries = Vec::new();
    for key in database
        .keys()?
        .into_iter()
        .filter(|key| pattern.matches(key))
    {
        // One that is removed meanwhile is not there.
        if let Some(entry) = database.get(&key)? {
            match shared.output {
                Output::Json => entries.push(told(&key, &entry)?),
                Output::Text => render::line(&row(&key, &entry)?),
            }
        }
    }
    if shared.output == Output::Json {
        render::line(&render::json_line(&json!({ "entries": entries })));
    }
    Ok(())
}

fn delete(shared: &Shared, database: &Database, key: &str) -> Result<(), Problem> {
    let mut was_there = false;
    database.change(key, &mut |entry| {
        was_there = entry.is_some();
        was_there.then_some(Write::Delete)
    })?;
    if !was_there {
        return Err(missing(key));
    }
    if shared.output == Output::Json {
        render::line(&render::json_line(&json!({ "deleted": 1 })));
    }
    Ok(())
}

fn clear(shared: &Shared, database: &Database, pattern: &Wildcard) -> Result<(), Problem> {
    let deleted = database.clear(&mut |key| pattern.matches(key))?;
    match shared.output {
        Output::Json => render::line(&render::json_line(&json!({ "deleted": deleted }))),
        Output::Text if deleted == 1 => render::line("1 key removed"),
        Output::Text => render::line(&format!("{deleted} keys removed")),
    }
    Ok(())
}

fn missing(key: &str) -> Problem {
    let key = Untrusted::new(key).escaped();
    Problem(format!(
        "there is no key `{key}`; sloth-runner state list shows those there are"
    ))
}

fn value(key: &str, entry: &Entry) -> Result<Value, Problem> {
    cbor::decode(&entry.value, cbor::Bounds::DATA).map_err(|error| {
        let key = Untrusted::new(key).escaped();
        Problem(format!("the value of `{key}` cannot be read: {error}"))
    })
}

fn told(key: &str, entry: &Entry) -> Result<Json, Problem> {
    Ok(json!({
        "key": key,
        "value": value(key, entry)?,
        "expires": entry.expires.map(timestamp),
    }))
}

/// Key, value and expiry on one line of a terminal.
fn row(key: &str, entry: &Entry) -> Result<String, Problem> {
    let value = Untrusted::new(render::json_line(&value(key, entry)?)).escaped();
    let shown = match value.char_indices().nth(60) {
        None => value,
        Some((end, _)) => format!("{}…", &value[..end]),
    };
    let expires = entry
        .expires
        .map_or_else(String::new, |at| format!("  (until {})", timestamp(at)));
    Ok(format!(
        "{}  {shown}{expires}",
        Untrusted::new(key).escaped()
    ))
}
