//! What keeps two runs from each other.

use super::fields::Fields;
use super::{Error, MAX_NAME};
use crate::Value;
use crate::text::Untrusted;

/// `config.lock`: no two runs hold a lock of one name at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub name: Untrusted,
    pub wait: Wait,
}

/// What a run does while another has its lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// It begins when the other has ended.
    #[default]
    Queue,
    /// All its tasks are skipped.
    Skip,
    /// It fails.
    Fail,
}

impl Wait {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Queue, Self::Skip, Self::Fail];

    /// As a file spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Skip => "skip",
            Self::Fail => "fail",
        }
    }
}

/// Reads `lock`: a name, or `{ name, wait }`.
pub(super) fn lock(config: Fields<'_>) -> Result<Option<Lock>, Error> {
    let shape = || {
        config.invalid("lock is a name, or { name = …, wait = \"queue\", \"skip\" or \"fail\" }")
    };
    let (name, wait) = match config.get("lock") {
        None => return Ok(None),
        Some(Value::Text(name)) => (name.as_str(), Wait::default()),
        Some(table) => {
            let name = table
                .get("name")
                .and_then(Value::as_text)
                .ok_or_else(shape)?;
            let wait = match table.get("wait").filter(|wait| **wait != Value::Null) {
                None => Wait::default(),
                Some(word) => Wait::ALL
                    .into_iter()
                    .find(|wait| word.as_text() == Some(wait.word()))
                    .ok_or_else(shape)?,
            };
            (name, wait)
        }
    };
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(config.invalid(format!("the name of a lock has 1 to {MAX_NAME} bytes")));
    }
    Ok(Some(Lock {
        name: name.into(),
        wait,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Option<Lock>, String> {
        let json: serde_json::Value =
            serde_json::from_str(&format!(r#"{{"line":3,"lock":{json}}}"#)).unwrap();
        let value = Value::from(json);
        lock(Fields::of(&value)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_lock_is_a_name_and_what_to_do_meanwhile() {
        let lock = |wait| {
            let name = "prod".into();
            Ok(Some(Lock { name, wait }))
        };
        assert_eq!(read(r#""prod""#), lock(Wait::Queue));
        assert_eq!(read(r#"{"name":"prod"}"#), lock(Wait::Queue));
        assert_eq!(read(r#"{"name":"prod","wait":"skip"}"#), lock(Wait::Skip));
        assert_eq!(read(r#"{"name":"prod","wait":"fail"}"#), lock(Wait::Fail));
        for broken in ["7", "{}", r#"{"name":"prod","wait":"no"}"#, r#""""#] {
            assert!(
                read(broken).unwrap_err().starts_with("line 3: "),
                "{broken}"
            );
        }
    }
}
