//! One entry after the other of a map that the guest reported, each held to its kind and size.

use std::time::Duration;

use super::error::{Error, invalid};
use super::{MAX_NAME, MAX_TASKS};
use crate::Value;
use crate::text::Untrusted;

/// A map of the plan, with the line of the file its errors name.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    value: &'a Value,
    pub(super) line: u32,
}

impl<'a> Fields<'a> {
    /// A task or workflow, which knows its own line.
    pub(super) fn of(value: &'a Value) -> Self {
        let line = value
            .get("line")
            .and_then(Value::as_integer)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0);
        Self { value, line }
    }

    /// A map within.
    pub(super) fn within(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }

    /// An entry; none when it is missing or nothing.
    pub(super) fn get(self, key: &str) -> Option<&'a Value> {
        self.value.get(key).filter(|value| **value != Value::Null)
    }

    pub(super) fn invalid(self, message: impl Into<String>) -> Error {
        invalid(self.line, message)
    }

    pub(super) fn text(self, key: &str) -> Result<Untrusted, Error> {
        match self.get(key) {
            None => Ok(Untrusted::default()),
            Some(Value::Text(text)) if text.len() <= 64 << 10 => Ok(Untrusted::new(text.clone())),
            Some(Value::Text(_)) => Err(self.invalid(format!("{key} is longer than 64 KiB"))),
            Some(other) => Err(self.invalid(format!("{key} is text, not {}", other.kind()))),
        }
    }

    /// Text of which none and empty mean the same.
    pub(super) fn optional_text(self, key: &str) -> Result<Option<Untrusted>, Error> {
        Ok(Some(self.text(key)?).filter(|text| !text.is_empty()))
    }

    pub(super) fn name(self, of: &str) -> Result<Untrusted, Error> {
        let name = self.text("name")?;
        if name.is_empty() {
            return Err(self.invalid(format!("a {of} needs a name that is not empty")));
        }
        if name.raw().len() > MAX_NAME {
            return Err(self.invalid(format!("a {of}'s name is longer than {MAX_NAME} bytes")));
        }
        Ok(name)
    }

    /// The names of tasks.
    pub(super) fn names(self, key: &str) -> Result<Vec<Untrusted>, Error> {
        self.texts(key, "name", MAX_TASKS, MAX_NAME)
    }

    /// One text or a list of at most `count`, of at most `size` bytes each; `what` each of them is.
    pub(super) fn texts(
        self,
        key: &str,
        what: &str,
        count: usize,
        size: usize,
    ) -> Result<Vec<Untrusted>, Error> {
        let texts = match self.get(key) {
            None => Some(Vec::new()),
            Some(Value::Text(text)) => Some(vec![text.as_str()]),
            Some(Value::List(items)) => items.iter().map(Value::as_text).collect(),
            // Lua has one empty table for both.
            Some(Value::Map(entries)) if entries.is_empty() => Some(Vec::new()),
            Some(_) => None,
        };
        let texts =
            texts.ok_or_else(|| self.invalid(format!("{key} is a {what} or a list of {what}s")))?;
        if texts.len() > count {
            return Err(self.invalid(format!("{key} has more than {count} {what}s")));
        }
        if texts.iter().any(|text| text.len() > size) {
            return Err(self.invalid(format!("a {what} in {key} is longer than {size} bytes")));
        }
        Ok(texts.into_iter().map(Untrusted::from).collect())
    }

    pub(super) fn flag(self, key: &str) -> Result<Option<bool>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => {
                Err(self.invalid(format!("{key} is true or false, not {}", other.kind())))
            }
        }
    }

    /// A length of time, in whole milliseconds.
    pub(super) fn duration(self, key: &str) -> Result<Option<Duration>, Error> {
        self.get(key)
            .map(|value| {
                value
                    .as_integer()
                    .and_then(|milliseconds| u64::try_from(milliseconds).ok())
                    .map(Duration::from_millis)
                    .ok_or_else(|| {
                        self.invalid(format!("{key} is a duration such as \"30s\" or \"5m\""))
                    })
            })
            .transpose()
    }

    /// A length of time in which something can happen.
    pub(super) fn timeout(self) -> Result<Option<Duration>, Error> {
        match self.duration("timeout")? {
            Some(Duration::ZERO) => Err(self.invalid("timeout is longer than 0s; leave it out")),
            timeout => Ok(timeout),
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(self, key: &str, least: u32, most: u32) -> Result<Option<u32>, Error> {
        self.get(key)
            .map(|value| {
                value
                    .as_integer()
                    .and_then(|number| u32::try_from(number).ok())
                    .filter(|number| (least..=most).contains(number))
                    .ok_or_else(|| {
                        self.invalid(format!("{key} is a whole number from {least} to {most}"))
                    })
            })
            .transpose()
    }
}
