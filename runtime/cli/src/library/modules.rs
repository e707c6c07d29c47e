//! The library by module.

use std::collections::BTreeMap;

use serde::Serialize;

use super::comments::{self, Comment, Kind};
use super::purposes::{ALIASES, GLOBALS, LUA, purpose};
use super::sources::{OWN, SOURCES, Source, later};

/// Whether a module is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    Here,
    /// Lua's own, described by Lua's manual.
    Lua,
    /// The language has it, and this version has not.
    Later,
}

/// One module of the library.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Module {
    pub(crate) name: String,
    /// Other names of it.
    pub(crate) aliases: Vec<&'static str>,
    pub(crate) status: Status,
    /// What it is for: one sentence.
    pub(crate) purpose: String,
    /// The purpose and what else holds for all of its functions.
    pub(crate) about: String,
    pub(crate) functions: Vec<Function>,
}

/// One function of a module, or a value in it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Function {
    /// The whole name, as a workflow file writes it.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// How it is called; what is in square brackets may be left out.
    pub(crate) call: String,
    pub(crate) description: String,
}

/// All modules, by name.
pub(crate) fn modules() -> Vec<Module> {
    let mut all: BTreeMap<String, Module> = BTreeMap::new();
    for source in SOURCES.iter().chain([&OWN]) {
        let comments = comments::comments(source.text);
        let names_itself = comments.iter().any(|comment| comment.name == source.name);
        for comment in comments {
            let name = home(&comment, source, names_itself);
            let module = all
                .entry(name.to_owned())
                .or_insert_with(|| module(name, Status::Here));
            if !module
                .functions
                .iter()
                .any(|known| known.name == comment.name)
            {
                module.functions.push(Function {
                    name: comment.name,
                    kind: comment.kind,
                    call: comment.call,
                    description: comment.description,
                });
            }
        }
    }
    for name in LUA {
        all.entry((*name).to_owned())
            .or_insert_with(|| module(name, Status::Lua))
            .status = Status::Lua;
    }
    for name in later() {
        all.entry(name.to_owned())
            .or_insert_with(|| module(name, Status::Later));
    }
    all.into_values().collect()
}

/// The module that a comment belongs to. A file that describes a function of its own name is the
/// module of all that it describes without a dot.
fn home<'a>(comment: &'a Comment, source: &Source, names_itself: bool) -> &'a str {
    match comment.name.split_once('.') {
        _ if comment.kind == Kind::Method => source.name,
        Some((module, _)) => module,
        None if names_itself => source.name,
        None => GLOBALS,
    }
}

fn module(name: &str, status: Status) -> Module {
    let about = SOURCES
        .iter()
        .find(|source| source.name == name)
        .map(|source| without_name(&comments::introduction(source.text), name))
        .filter(|about| !about.is_empty())
        .unwrap_or_else(|| purpose(name).to_owned());
    Module {
        name: name.to_owned(),
        aliases: ALIASES
            .iter()
            .filter(|(_, meant)| *meant == name)
            .map(|(alias, _)| *alias)
            .collect(),
        status,
        purpose: first_sentence(&about).to_owned(),
        about,
        functions: Vec::new(),
    }
}

/// An introduction such as `stack: what …` or `task("name"): one …` without what it begins with.
fn without_name(introduction: &str, name: &str) -> String {
    let said = introduction
        .strip_prefix(name)
        .filter(|rest| rest.starts_with([':', '(', '.']))
        .and_then(|_| introduction.split_once(": "))
        .filter(|(head, _)| !head.contains(". "))
        .map_or(introduction, |(_, said)| said);
    let mut characters = said.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

fn first_sentence(text: &str) -> &str {
    text.match_indices(". ")
        .find(|(end, _)| text[end + 2..].starts_with(char::is_uppercase))
        .map_or(text, |(end, _)| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_module_says_what_it_is_for() {
        for module in modules() {
            assert!(!module.purpose.is_empty(), "{} has no purpose", module.name);
            assert!(
                module.status != Status::Here || !module.functions.is_empty(),
                "{} has no function",
                module.name
            );
        }
    }

    #[test]
    fn each_function_says_what_it_does() {
        for function in modules().iter().flat_map(|module| &module.functions) {
            assert!(!function.description.is_empty(), "{}", function.call);
        }
    }

    #[test]
    fn an_introduction_loses_the_name_it_begins_with() {
        for (introduction, name, purpose) in [
            ("stack: what runs share. More.", "stack", "What runs share."),
            ("task(\"x\"): one node.", "task", "One node."),
            ("JSON text.", "json", "JSON text."),
            ("Time and dates: all.", "time", "Time and dates: all."),
            ("What is here, e.g. this.", "x", "What is here, e.g. this."),
        ] {
            assert_eq!(first_sentence(&without_name(introduction, name)), purpose);
        }
    }

    #[test]
    fn what_is_written_is_not_announced_for_later() {
        let all = modules();
        let status = |name: &str| {
            all.iter()
                .find(|module| module.name == name)
                .map(|m| m.status)
        };
        assert_eq!(status("fs"), Some(Status::Here));
        assert_eq!(status("string"), Some(Status::Lua));
        assert!(later().all(|name| status(name).is_some()));
    }
}
