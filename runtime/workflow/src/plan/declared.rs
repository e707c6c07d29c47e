//! The capabilities that a workflow or task declares.

use std::collections::BTreeMap;

use sloth_policy::{Entry, Grants};

use super::Error;
use super::fields::Fields;
use crate::Value;

/// Reads `capabilities`. `file` stands in messages.
pub(super) fn capabilities(fields: Fields<'_>, file: &str) -> Result<Option<Grants>, Error> {
    let Some(nouns) = fields.get("capabilities") else {
        return Ok(None);
    };
    let shape = || fields.invalid("capabilities is { noun = { verb = { scopes } } }");
    let mut entries = BTreeMap::new();
    for (noun, verbs) in nouns.as_map().ok_or_else(shape)? {
        let mut scopes = BTreeMap::new();
        for (verb, scope) in verbs.as_map().ok_or_else(shape)? {
            scopes.insert(verb.clone(), entry(scope).ok_or_else(shape)?);
        }
        entries.insert(noun.clone(), scopes);
    }
    Grants::declare(&entries, file, fields.line as usize)
        .map(Some)
        .map_err(|error| fields.invalid(message(&error)))
}

fn message(error: &sloth_policy::ParseError) -> String {
    let help = error
        .help
        .as_ref()
        .map_or_else(String::new, |help| format!("; {help}"));
    format!("in capabilities: {}{help}", error.message)
}

fn entry(scope: &Value) -> Option<Entry> {
    match scope {
        Value::Bool(flag) => Some(Entry::Flag(*flag)),
        Value::Text(name) => Some(Entry::Names(vec![name.clone()])),
        Value::List(items) => texts(items).map(Entry::Names),
        // Lua has one empty table for both.
        Value::Map(entries) if entries.is_empty() => Some(Entry::Names(Vec::new())),
        Value::Map(entries) => entries
            .iter()
            .map(|(name, places)| match places {
                Value::Map(none) if none.is_empty() => Some((name.clone(), Vec::new())),
                places => Some((name.clone(), texts(places.as_list()?)?)),
            })
            .collect::<Option<_>>()
            .map(Entry::Bound),
        _ => None,
    }
}

fn texts(items: &[Value]) -> Option<Vec<String>> {
    items
        .iter()
        .map(|item| item.as_text().map(str::to_owned))
        .collect()
}
