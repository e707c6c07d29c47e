//! TOML 1.0, without its dates and times.

use crate::data::Data;

/// Reads a text.
///
/// # Errors
/// What is wrong, with line and column.
pub(crate) fn decode(text: &str) -> Result<Data, String> {
    basic_toml::from_str(text).map_err(|error| error.to_string())
}

/// The text of a map.
///
/// # Errors
/// A sentence, for what TOML has no form for: no value in a list, a value that is no map at the top.
pub(crate) fn encode(data: &Data) -> Result<String, String> {
    basic_toml::to_string(&arrange(data)).map_err(|error| error.to_string())
}

/// In TOML what follows a table belongs to it, so plain values come first.
fn arrange(data: &Data) -> Data {
    match data {
        Data::List(items) => Data::List(items.iter().map(arrange).collect()),
        Data::Map(entries) => {
            let mut entries: Vec<(Data, Data)> = entries
                .iter()
                .map(|(key, value)| (key.clone(), arrange(value)))
                .collect();
            entries.sort_by_key(|(_, value)| is_table(value));
            Data::Map(entries)
        }
        other => other.clone(),
    }
}

fn is_table(data: &Data) -> bool {
    match data {
        Data::Map(_) => true,
        Data::List(items) => items.iter().any(is_table),
        _ => false,
    }
}
