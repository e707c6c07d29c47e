//! Plain data: what values, params, outputs and plans are made of.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// Plain data with integers and floats, and text and bytes, told apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// A map without entries.
    pub fn empty() -> Self {
        Self::Map(BTreeMap::new())
    }

    /// The entry of a map; none for other kinds and for missing keys.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(entries) => entries.get(key),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The kind in words, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        /// What an entry of a map takes beside its key and value.
        const ENTRY: usize = 48;
        let inner = match self {
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::Float(_) => 0,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(items) => items.iter().map(Self::weight).sum(),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| ENTRY + key.len() + value.weight())
                .sum(),
        };
        size_of::<Self>() + inner
    }

    /// Lays `other` over this value: maps are merged key by key, anything else is replaced.
    pub fn merge(&mut self, other: Value) {
        match (self, other) {
            (Self::Map(mine), Self::Map(theirs)) => {
                for (key, value) in theirs {
                    match mine.get_mut(&key) {
                        Some(slot) => slot.merge(value),
                        None => {
                            mine.insert(key, value);
                        }
                    }
                }
            }
            (slot, other) => *slot = other,
        }
    }
}

/// JSON form. Bytes become `{"base16": "…"}`, since JSON has no bytes; floats that are not finite
/// become their names, since JSON has no such numbers.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Float(number) if number.is_finite() => serializer.serialize_f64(*number),
            Self::Float(number) => serializer.collect_str(number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("base16", &base16(bytes))?;
                map.end()
            }
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// Lower-case hexadecimal digits, two a byte.
pub fn base16(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes every write");
            text
        })
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(truth) => Self::Bool(truth),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Array(items) => {
                Self::List(items.into_iter().map(Self::from).collect())
            }
            serde_json::Value::Object(entries) => Self::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (key, value.into()))
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        serde_json::from_str::<serde_json::Value>(text)
            .unwrap()
            .into()
    }

    #[test]
    fn maps_merge_key_by_key_and_lists_are_replaced() {
        let mut value = json(r#"{"site": {"port": 80, "names": ["a"]}, "keep": true}"#);
        value.merge(json(r#"{"site": {"port": 8080, "names": ["b", "c"]}}"#));
        assert_eq!(
            value,
            json(r#"{"site": {"port": 8080, "names": ["b", "c"]}, "keep": true}"#)
        );
    }

    #[test]
    fn integers_and_floats_stay_apart() {
        assert_eq!(
            json("[1, 1.0]"),
            Value::List(vec![Value::Integer(1), Value::Float(1.0)])
        );
        assert_eq!(serde_json::to_string(&json("[1, 1.0]")).unwrap(), "[1,1.0]");
    }

    #[test]
    fn numbers_json_cannot_hold_become_their_names() {
        let value = Value::List(vec![Value::Float(f64::NAN), Value::Bytes(vec![255, 1])]);
        assert_eq!(
            serde_json::to_string(&value).unwrap(),
            r#"["NaN",{"base16":"ff01"}]"#
        );
    }
}
