//! Who is there, and who is allowed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::{Selector, Value};

/// An agent as selectors see it.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// Map of facts by section.
    pub facts: Value,
}

impl Agent {
    /// Whether a selector means it.
    pub fn matches(&self, selector: &Selector) -> bool {
        selector.matches(&|key| self.look_up(key))
    }

    /// `name`, a fact such as `facts.platform.os`, or a label. A fact that is a list or a map is none.
    pub fn look_up(&self, key: &str) -> Option<Cow<'_, str>> {
        if key == "name" {
            return Some(Cow::Borrowed(&self.name));
        }
        let Some(path) = key.strip_prefix("facts.") else {
            return self
                .labels
                .get(key)
                .map(|label| Cow::Borrowed(label.as_str()));
        };
        let fact = path
            .split('.')
            .try_fold(&self.facts, |value, key| value.get(key))?;
        match fact {
            Value::Text(text) => Some(Cow::Borrowed(text)),
            Value::Bool(truth) => Some(Cow::Owned(truth.to_string())),
            Value::Integer(number) => Some(Cow::Owned(number.to_string())),
            Value::Float(number) => Some(Cow::Owned(number.to_string())),
            Value::Null | Value::Bytes(_) | Value::List(_) | Value::Map(_) => None,
        }
    }
}

/// Where the operator lets a run have its steps.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// `--delegate-to`: where tasks run that say nothing themselves, and targets that a file may name.
    pub names: Vec<String>,
    /// `--targets`: agents that a file may name besides.
    pub selector: Option<Selector>,
    /// `--allow-local`: the operator's machine may be used although the run is delegated.
    pub local: bool,
    /// `--limit`: on how many targets at once; 0 is no limit.
    pub limit: usize,
}

impl Allowed {
    /// This machine, and nothing else.
    pub fn here() -> Self {
        Self {
            local: true,
            ..Self::default()
        }
    }

    /// Whether any agent may be used.
    pub(super) fn any_agent(&self) -> bool {
        !self.names.is_empty() || self.selector.is_some()
    }

    /// Whether this machine may be used: always, unless the run is delegated.
    pub(super) fn here_too(&self) -> bool {
        self.local || self.names.is_empty() || self.names.iter().any(|name| name == super::LOCAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_facts_are_looked_up() {
        let facts = r#"{"platform":{"os":"linux","cores":8,"virtual":true},"users":["ana"]}"#;
        let facts: serde_json::Value = serde_json::from_str(facts).unwrap();
        let agent = Agent {
            name: "web-01".into(),
            labels: [
                ("role".to_owned(), "web".to_owned()),
                ("name".to_owned(), "x".to_owned()),
            ]
            .into(),
            facts: facts.into(),
        };
        for (selector, expected) in [
            ("name=web-01", true),
            ("name=x", false),
            ("role=web and facts.platform.os=linux", true),
            (
                "facts.platform.cores=8 and facts.platform.virtual=true",
                true,
            ),
            (
                "facts.users or facts.platform or facts.platform.os.x",
                false,
            ),
        ] {
            let selector = Selector::parse(selector).unwrap();
            assert_eq!(agent.matches(&selector), expected, "{}", selector.text());
        }
    }
}
