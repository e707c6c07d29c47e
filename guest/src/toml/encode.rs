//! Plain data as TOML text: values first, then tables, each in the order of their names.

use std::fmt::Write;

use crate::data::Data;

/// The text of a table.
///
/// # Errors
/// A sentence, for what TOML has no form for.
pub(crate) fn encode(data: &Data) -> Result<String, String> {
    let mut writer = Writer {
        text: String::new(),
    };
    match data {
        Data::Map(entries) => writer.table("", entries)?,
        _ => return Err("TOML text is a table of names".to_owned()),
    }
    Ok(writer.text)
}

type Entries = [(Data, Data)];

/// The tables of a list that is written as `[[name]]`.
fn tables(data: &Data) -> Option<Vec<&Entries>> {
    let Data::List(items) = data else { return None };
    let maps = items.iter().map(|item| match item {
        Data::Map(entries) => Some(entries.as_slice()),
        _ => None,
    });
    maps.collect::<Option<Vec<_>>>()
        .filter(|maps| !maps.is_empty())
}

struct Writer {
    text: String,
}

impl Writer {
    fn table(&mut self, path: &str, entries: &Entries) -> Result<(), String> {
        for (key, value) in entries {
            if !matches!(value, Data::Map(_) | Data::Nil) && tables(value).is_none() {
                let key = name(key)?;
                let _ = write!(self.text, "{key} = ");
                self.value(value)?;
                self.text.push('\n');
            }
        }
        for (key, value) in entries {
            let path = match path {
                "" => name(key)?,
                path => format!("{path}.{}", name(key)?),
            };
            if let Data::Map(inner) = value {
                // A table of nothing but tables is there when they are.
                let only_tables = inner
                    .iter()
                    .all(|(_, value)| matches!(value, Data::Map(_)) || tables(value).is_some());
                if inner.is_empty() || !only_tables {
                    self.header(&format!("[{path}]"));
                }
                self.table(&path, inner)?;
            }
            for inner in tables(value).into_iter().flatten() {
                self.header(&format!("[[{path}]]"));
                self.table(&path, inner)?;
            }
        }
        Ok(())
    }

    fn header(&mut self, line: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn value(&mut self, data: &Data) -> Result<(), String> {
        match data {
            Data::Nil => return Err("TOML has no null".to_owned()),
            Data::Bytes(_) => return Err("a string is not UTF-8 text".to_owned()),
            Data::Boolean(value) => {
                let _ = write!(self.text, "{value}");
            }
            Data::Integer(value) => {
                let _ = write!(self.text, "{value}");
            }
            Data::Float(value) if value.is_nan() => self.text.push_str("nan"),
            Data::Float(value) => {
                let _ = write!(self.text, "{value:?}");
            }
            Data::Text(text) => self.text.push_str(&quoted(text)),
            Data::List(items) => {
                self.text.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.text.push_str(if index > 0 { ", " } else { "" });
                    self.value(item)?;
                }
                self.text.push(']');
            }
            Data::Map(entries) => {
                self.text.push('{');
                let there = entries.iter().filter(|(_, value)| *value != Data::Nil);
                for (index, (key, value)) in there.enumerate() {
                    self.text.push_str(if index > 0 { ", " } else { " " });
                    let key = name(key)?;
                    let _ = write!(self.text, "{key} = ");
                    self.value(value)?;
                }
                self.text
                    .push_str(if entries.is_empty() { "}" } else { " }" });
            }
        }
        Ok(())
    }
}

fn name(key: &Data) -> Result<String, String> {
    let Data::Text(text) = key else {
        return Err("a key is not UTF-8 text".to_owned());
    };
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    Ok(if !text.is_empty() && text.chars().all(bare) {
        text.clone()
    } else {
        quoted(text)
    })
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            control if control.is_ascii_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
