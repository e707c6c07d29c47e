//! A selector that was read.

use std::str::FromStr;

use super::parse::{self, Error};
use super::pattern::Pattern;

/// Which agents are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    text: String,
    tree: Tree,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Any(Vec<Tree>),
    All(Vec<Tree>),
    Not(Box<Tree>),
    Has(String),
    Is(String, Pattern),
}

impl Selector {
    /// Reads a selector of at most [`MAX_LENGTH`](super::MAX_LENGTH) bytes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::selector(text)
    }

    pub(super) fn new(text: &str, tree: Tree) -> Self {
        Self {
            text: text.to_owned(),
            tree,
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it asks for a fact, which is what a machine says of itself.
    pub fn asks_for_facts(&self) -> bool {
        self.tree.asks_for_facts()
    }

    /// Whether it means the one whose name, labels and facts `look_up` gives: `name`, `role`,
    /// `facts.platform.os`.
    pub fn matches<T: AsRef<str>>(&self, look_up: &impl Fn(&str) -> Option<T>) -> bool {
        self.tree.matches(look_up)
    }
}

impl FromStr for Selector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Tree {
    fn asks_for_facts(&self) -> bool {
        match self {
            Self::Any(trees) | Self::All(trees) => trees.iter().any(Self::asks_for_facts),
            Self::Not(tree) => tree.asks_for_facts(),
            Self::Has(key) | Self::Is(key, _) => key.starts_with("facts."),
        }
    }

    pub(super) fn any(mut trees: Vec<Self>) -> Self {
        if trees.len() == 1 {
            return trees.remove(0);
        }
        Self::Any(trees)
    }

    pub(super) fn all(mut trees: Vec<Self>) -> Self {
        if trees.len() == 1 {
            return trees.remove(0);
        }
        Self::All(trees)
    }

    fn matches<T: AsRef<str>>(&self, look_up: &impl Fn(&str) -> Option<T>) -> bool {
        match self {
            Self::Any(trees) => trees.iter().any(|tree| tree.matches(look_up)),
            Self::All(trees) => trees.iter().all(|tree| tree.matches(look_up)),
            Self::Not(tree) => !tree.matches(look_up),
            Self::Has(key) => look_up(key).is_some(),
            Self::Is(key, pattern) => {
                look_up(key).is_some_and(|value| pattern.matches(value.as_ref()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_asked_for_wherever_they_stand() {
        for (text, asks) in [
            ("role=web and not env=prod", false),
            ("facts", false),
            (
                "role=web and not (env=prod or facts.platform.os=linux)",
                true,
            ),
            ("facts.x", true),
        ] {
            let selector = Selector::parse(text).unwrap();
            assert_eq!(selector.asks_for_facts(), asks, "{text}");
        }
    }

    fn matches(selector: &str) -> bool {
        let look_up = |key: &str| {
            let found = match key {
                "name" => "web-01",
                "role" => "web",
                "region" => "eu-west",
                "owner" => "team a*",
                "facts.platform.os" => "linux",
                _ => return None,
            };
            Some(found)
        };
        Selector::parse(selector).unwrap().matches(&look_up)
    }

    #[test]
    fn labels_names_and_facts_are_asked_for() {
        for (selector, expected) in [
            ("*", true),
            ("web-*", true),
            ("db-*", false),
            ("name=web-01", true),
            ("role=web and not region=eu-*", false),
            ("role=web and region!=us-*", true),
            ("missing!=x", true),
            ("missing=*", false),
            ("role", true),
            ("not missing", true),
            ("facts.platform.os==linux", true),
            ("role=db or role=web and region=eu-west", true),
            ("(role=db or role=web) and region=us", false),
            ("not role=db and not role=cache", true),
            ("owner=\"team a*\"", true),
            ("owner=\"team*\"", false),
            ("  role = web  ", true),
        ] {
            assert_eq!(matches(selector), expected, "{selector}");
        }
    }
}
