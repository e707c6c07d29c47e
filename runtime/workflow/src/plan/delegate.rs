//! Where a file says that its tasks run.

use super::fields::Fields;
use super::{Error, MAX_TARGETS};
use crate::Value;
use crate::selector::{MAX_LENGTH, Selector};
use crate::text::Untrusted;

/// `delegate_to`: where a task, or every task of a workflow that says nothing itself, runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegate {
    /// At least one.
    pub targets: Vec<Target>,
    /// It is a list or a selector: one step for each agent. A single name is not.
    pub fans_out: bool,
}

/// One agent, or those that a selector means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Name(Untrusted),
    Selector(Selector),
}

impl Delegate {
    /// As the file has it: names and selectors.
    pub fn texts(&self) -> Vec<Untrusted> {
        self.targets.iter().map(Target::text).collect()
    }
}

impl Target {
    /// As the file has it.
    pub fn text(&self) -> Untrusted {
        match self {
            Self::Name(name) => name.clone(),
            Self::Selector(selector) => Untrusted::new(selector.text()),
        }
    }

    /// Letters, digits and `-_.@` make a name; anything else is a selector.
    fn read(text: &str) -> Result<Self, String> {
        let is_name = text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "-_.@".contains(character));
        if is_name && !text.is_empty() {
            return Ok(Self::Name(text.into()));
        }
        if let Some((host, port)) = text.rsplit_once(':')
            && !host.is_empty()
            && port.bytes().all(|digit| digit.is_ascii_digit())
        {
            return Err(
                "is an address; write the agent's name, see sloth-runner agent list".into(),
            );
        }
        Selector::parse(text)
            .map(Self::Selector)
            .map_err(|error| format!("is neither a name nor a selector: {error}"))
    }
}

/// Reads `delegate_to`: a text or a list of texts.
pub(super) fn delegate(fields: Fields<'_>) -> Result<Option<Delegate>, Error> {
    const KEY: &str = "delegate_to";
    let Some(value) = fields.get(KEY) else {
        return Ok(None);
    };
    let texts = fields.texts(KEY, "name or selector", MAX_TARGETS, MAX_LENGTH)?;
    if texts.is_empty() {
        return Err(fields.invalid("delegate_to is an empty list; name an agent, or leave it out"));
    }
    let mut targets = Vec::with_capacity(texts.len());
    for text in &texts {
        let target = Target::read(text.raw()).map_err(|problem| {
            fields.invalid(format!("`{}` in delegate_to {problem}", text.escaped()))
        })?;
        targets.push(target);
    }
    let one = matches!(
        (value, targets.as_slice()),
        (Value::Text(_), [Target::Name(_)])
    );
    Ok(Some(Delegate {
        targets,
        fans_out: !one,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Option<Delegate>, String> {
        let json: serde_json::Value =
            serde_json::from_str(&format!(r#"{{"line":3,"delegate_to":{json}}}"#)).unwrap();
        let value = Value::from(json);
        delegate(Fields::of(&value)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_a_list_and_a_selector_are_told_apart() {
        let name = |name: &str| Target::Name(name.into());
        let selector = |text: &str| Target::Selector(Selector::parse(text).unwrap());
        for (json, fans_out, targets) in [
            (r#""web-01""#, false, vec![name("web-01")]),
            (
                r#""ana@laptop.local""#,
                false,
                vec![name("ana@laptop.local")],
            ),
            (r#"["web-01"]"#, true, vec![name("web-01")]),
            (r#""web-*""#, true, vec![selector("web-*")]),
            (r#""(gpu)""#, true, vec![selector("(gpu)")]),
            (
                r#"["db-1","role=web and not region=eu"]"#,
                true,
                vec![name("db-1"), selector("role=web and not region=eu")],
            ),
        ] {
            let delegate = read(json).unwrap().unwrap();
            assert_eq!(delegate, Delegate { targets, fans_out }, "{json}");
        }
        assert_eq!(read("null").unwrap(), None);
    }

    #[test]
    fn what_means_nobody_says_why() {
        for (json, message) in [
            ("[]", "line 3: delegate_to is an empty list"),
            (
                "7",
                "line 3: delegate_to is a name or selector or a list of name or selectors",
            ),
            (
                r#""""#,
                "line 3: `` in delegate_to is neither a name nor a selector: at character 1",
            ),
            (
                r#""10.0.0.1:50051""#,
                "line 3: `10.0.0.1:50051` in delegate_to is an address; write the agent's name",
            ),
            (
                r#""role=""#,
                "line 3: `role=` in delegate_to is neither a name nor a selector: at character 6",
            ),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.starts_with(message), "{json}: {error}");
        }
    }
}
