//! Values that the operator hands to a workflow: files, then single settings.

use std::collections::BTreeMap;

use crate::Value;

/// Why values cannot be used; each names the file or setting and what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    #[error("{file} is not valid {format}: {message}")]
    Malformed {
        file: String,
        format: &'static str,
        message: String,
    },
    #[error("{file} holds {kind} where a map of names to values is needed")]
    NotAMap { file: String, kind: &'static str },
    #[error("`{0}` is not a setting; write key=value, or key:=json for a typed value")]
    NotASetting(String),
    #[error("`{key}` is not valid JSON after `:=`: {message}")]
    NotJson { key: String, message: String },
    #[error("`{0}` has an empty part in its key; write names joined by single dots")]
    EmptyKey(String),
}

/// Reads a values file. The name's ending decides the format: `.json`, `.toml`, else YAML.
pub fn parse_file(file: &str, text: &str) -> Result<Value, Error> {
    let ending = file.rsplit('.').next().unwrap_or_default();
    let malformed = |format: &'static str| {
        move |message: String| Error::Malformed {
            file: file.to_owned(),
            format,
            message,
        }
    };
    let json = match ending {
        "json" => serde_json::from_str(text).map_err(|e| malformed("JSON")(e.to_string()))?,
        "toml" => toml::from_str(text).map_err(|e| malformed("TOML")(e.to_string()))?,
        _ => serde_saphyr::from_str::<serde_json::Value>(text)
            .map_err(|e| malformed("YAML")(e.to_string()))?,
    };
    match Value::from(json) {
        // An empty YAML document is no values rather than a mistake.
        Value::Null => Ok(Value::empty()),
        value @ Value::Map(_) => Ok(value),
        other => Err(Error::NotAMap {
            file: file.to_owned(),
            kind: other.kind(),
        }),
    }
}

/// Reads one setting: `a.b=text`, or `a.b:=json` for a typed value.
pub fn parse_setting(setting: &str) -> Result<Value, Error> {
    let (key, text) = setting
        .split_once('=')
        .ok_or_else(|| Error::NotASetting(setting.to_owned()))?;
    let (key, value) = match key.strip_suffix(':') {
        Some(key) => {
            let json: serde_json::Value =
                serde_json::from_str(text).map_err(|e| Error::NotJson {
                    key: key.to_owned(),
                    message: e.to_string(),
                })?;
            (key, Value::from(json))
        }
        None => (key, Value::Text(text.to_owned())),
    };
    if key.split('.').any(str::is_empty) {
        return Err(Error::EmptyKey(setting.to_owned()));
    }
    Ok(key.rsplit('.').fold(value, |inner, part| {
        Value::Map(BTreeMap::from([(part.to_owned(), inner)]))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &Value) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn the_three_formats_give_the_same_values() {
        let yaml = parse_file("a.yaml", "site:\n  port: 80\n  names: [a, b]\n").unwrap();
        let toml = parse_file("a.toml", "[site]\nport = 80\nnames = ['a', 'b']\n").unwrap();
        let json = parse_file("a.json", r#"{"site":{"port":80,"names":["a","b"]}}"#).unwrap();
        assert_eq!(yaml, json);
        assert_eq!(toml, json);
    }

    #[test]
    fn dotted_settings_nest_and_typed_ones_keep_their_type() {
        assert_eq!(
            shown(&parse_setting("a.b=3").unwrap()),
            r#"{"a":{"b":"3"}}"#
        );
        assert_eq!(shown(&parse_setting("a.b:=3").unwrap()), r#"{"a":{"b":3}}"#);
        assert_eq!(
            shown(&parse_setting("url=http://x/?a=b").unwrap()),
            r#"{"url":"http://x/?a=b"}"#
        );
    }

    #[test]
    fn mistakes_name_the_place_and_the_remedy() {
        assert!(matches!(
            parse_setting("novalue"),
            Err(Error::NotASetting(_))
        ));
        assert!(matches!(parse_setting("a..b=1"), Err(Error::EmptyKey(_))));
        assert!(matches!(parse_setting("n:=x"), Err(Error::NotJson { .. })));
        assert_eq!(
            parse_file("v.yaml", "- a\n- b\n").unwrap_err().to_string(),
            "v.yaml holds a list where a map of names to values is needed"
        );
        assert!(matches!(
            parse_file("v.yaml", "a: [unclosed"),
            Err(Error::Malformed { format: "YAML", .. })
        ));
        assert_eq!(parse_file("empty.yaml", ""), Ok(Value::empty()));
    }
}
