//! A policy file: what a node grants, what it denies whatever is granted, and its ceilings.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml_edit::{Document, Item, TableLike, Value};

use crate::capability::{Capability, Scope};
use crate::effective::Effective;
use crate::error::ParseError;
use crate::escape::visible;
use crate::finding::{self, Finding};
use crate::grants::{Grant, Grants, Origin, nouns, verbs_of};
use crate::limits::Limits;
use crate::plugin::{self, Section};
use crate::reader::{Reader, described, key_span};
use crate::rule::{self, Identity, NamedKey, Rule};
use crate::sink;

/// A node's policy. What it does not grant is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    limits: Limits,
    base: Grants,
    deny: Grants,
    keys: Vec<NamedKey>,
    rules: Vec<Rule>,
    plugins: BTreeMap<String, Section>,
}

/// A rule that grants a call to some bundles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleGrant {
    /// The line that does.
    pub line: String,
    /// What a bundle must be, such as `match = { signed-by = "ops", values = "none" }`.
    pub condition: String,
}

const KEYS: &[&str] = &["version", "limits", "deny", "keys", "rule", "plugin"];

impl Policy {
    /// Reads a policy of version 1. `file` is what errors, findings and explanations call it.
    ///
    /// Everything in the text means something or is an error, so that no later version can widen
    /// what an earlier one let pass unread.
    pub fn parse(text: &str, file: &str) -> Result<Self, ParseError> {
        let reader = Reader { text, file };
        let document = Document::parse(text).map_err(|error| {
            let message = error.message().lines().collect::<Vec<_>>().join(" ");
            reader.error(error.span(), message, None)
        })?;
        let root = document.as_table();
        version(&reader, root)?;
        let source: Arc<str> = file.into();
        let mut policy = Self::default();
        if let Some(item) = root.get("keys") {
            policy.keys = rule::keys(&reader, item)?;
        }
        for (key, item) in root {
            match key {
                "version" | "keys" => {}
                "limits" => policy.limits = Limits::read(&reader, item)?,
                "deny" => {
                    let table = reader.table(item, key)?;
                    policy.deny = grants(&reader, table, &[], "[deny]", &source)?;
                }
                "rule" => policy.rules = rule::rules(&reader, item, &policy.keys, &source)?,
                "plugin" => policy.plugins = plugin::sections(&reader, item, &source)?,
                noun if nouns().contains(&noun) => {
                    verbs(&reader, item, noun, false, &source, &mut policy.base)?;
                }
                _ => {
                    let known: Vec<&str> = KEYS.iter().copied().chain(nouns()).collect();
                    return Err(reader.unknown_key(root, key, "the policy", &known));
                }
            }
        }
        Ok(policy)
    }

    /// The policy of a node that has none: nothing is granted, and the ceilings are the defaults.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// The same policy with more grants, which somebody who may has agreed to. Deny lines and
    /// ceilings stay.
    #[must_use]
    pub fn granting(mut self, grants: Grants) -> Self {
        self.base = self.base.merge(grants);
        self
    }

    /// The node's ceilings.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The keys by which bundles are recognised.
    pub fn keys(&self) -> &[NamedKey] {
        &self.keys
    }

    /// What a bundle is granted: the base, and every rule that matches it.
    pub fn grants_for(&self, bundle: impl Into<Identity>) -> Grants {
        let bundle = bundle.into();
        self.rules
            .iter()
            .filter(|rule| rule.matches(&bundle))
            .fold(self.base.clone(), |grants, rule| {
                grants.merge(rule.grants.clone())
            })
    }

    /// Whether anything in it, of the base or of a rule, lets a secret of this name go anywhere.
    pub fn names_secret(&self, name: &str) -> bool {
        let rules = self.rules.iter().map(|rule| &rule.grants);
        rules
            .chain([&self.base])
            .any(|grants| grants.names_secret(name))
    }

    /// What the policy says of one plugin; nothing is granted to one that it does not speak of.
    pub fn plugin(&self, name: &str) -> Option<&Section> {
        self.plugins.get(name)
    }

    /// Every plugin that the policy speaks of, by name.
    pub fn plugins(&self) -> &BTreeMap<String, Section> {
        &self.plugins
    }

    /// What is denied whatever is granted.
    pub fn deny(&self) -> &Grants {
        &self.deny
    }

    /// The rules that would grant a call, each with the line of it that does and with what it asks of a bundle: who it is
    /// signed by, which one it is, and what values it comes with. Safe to show on a terminal.
    pub fn rules_granting(&self, capability: Capability, subject: &str) -> Vec<RuleGrant> {
        let granting = |rule: &Rule| {
            let alone = Self {
                base: rule.grants.clone(),
                rules: Vec::new(),
                ..self.clone()
            };
            let effective = Effective::new(&alone, Identity::unknown(), &[], Vec::new());
            let found = effective.explain(capability, subject);
            found.allowed.then(|| RuleGrant {
                line: visible(&found.line.unwrap_or_default()),
                condition: rule.condition(),
            })
        };
        self.rules.iter().filter_map(granting).collect()
    }

    /// Every grant, of the base and of the rules.
    pub(crate) fn all_grants(&self) -> impl Iterator<Item = &Grant> {
        let rules = self.rules.iter().flat_map(|rule| &rule.grants.grants);
        self.base.grants.iter().chain(rules)
    }

    /// Every line, of the base and of the rules, that amounts to more than it says.
    pub fn warnings(&self) -> Vec<Finding> {
        let rules = self.rules.iter().flat_map(|rule| finding::of(&rule.grants));
        let plugins = self.plugins.values();
        let plugins = plugins.flat_map(|section| finding::of(&section.grants));
        finding::of(&self.base)
            .chain(rules)
            .chain(plugins)
            .collect()
    }
}

fn version(reader: &Reader<'_>, root: &dyn TableLike) -> Result<(), ParseError> {
    let help = || Some("write version = 1".to_owned());
    let Some(item) = root.get("version") else {
        return Err(reader.error(None, "the policy does not say its `version`", help()));
    };
    match item.as_integer() {
        Some(1) => Ok(()),
        Some(other) => {
            let message = format!("version {other} is not known to this program");
            Err(reader.error(item.span(), message, help()))
        }
        None => {
            let message = format!("`version` is a number, not {}", described(item));
            Err(reader.error(item.span(), message, help()))
        }
    }
}

/// Reads the nouns of a table in which other keys are read by `skip`'s owner.
pub(crate) fn grants(
    reader: &Reader<'_>,
    table: &dyn TableLike,
    skip: &[&str],
    place: &str,
    source: &Arc<str>,
) -> Result<Grants, ParseError> {
    let mut grants = Grants::nothing();
    for (key, item) in table.iter().filter(|(key, _)| !skip.contains(key)) {
        if !nouns().contains(&key) {
            let known: Vec<&str> = skip.iter().copied().chain(nouns()).collect();
            return Err(reader.unknown_key(table, key, place, &known));
        }
        verbs(reader, item, key, true, source, &mut grants)?;
    }
    Ok(grants)
}

/// Reads the verbs of one noun.
fn verbs(
    reader: &Reader<'_>,
    item: &Item,
    noun: &str,
    dotted: bool,
    source: &Arc<str>,
    grants: &mut Grants,
) -> Result<(), ParseError> {
    let table = reader.table(item, noun)?;
    for (verb, item) in table.iter() {
        let Some(capability) = Capability::from_name(&format!("{noun}.{verb}")) else {
            return Err(reader.unknown_key(table, verb, &format!("[{noun}]"), &verbs_of(noun)));
        };
        let origin = |span| {
            let (line, _) = reader.place(span);
            Origin {
                file: Arc::clone(source),
                line,
                dotted,
            }
        };
        let scope = capability.scope();
        if scope == Scope::Flag || scope == Scope::Ports && !item.is_array() {
            let Some(granted) = item.as_bool() else {
                let or = if scope == Scope::Ports {
                    " or a list"
                } else {
                    ""
                };
                let message = format!("`{verb}` is true or false{or}, not {}", described(item));
                return Err(reader.error(
                    item.span(),
                    message,
                    Some(format!("write {verb} = true")),
                ));
            };
            grants.flag(capability, granted, &origin(key_span(table, verb)));
            continue;
        }
        let mut add = |value: &Value, name: Option<&str>| {
            let Value::String(entry) = value else {
                let message = format!(
                    "`{verb}` lists texts, not a value of type {}",
                    value.type_name()
                );
                return Err(reader.error(value.span(), message, None));
            };
            let (text, origin) = (entry.value(), origin(value.span()));
            let added = match name {
                None => grants.entry(capability, text, origin),
                Some(name) => grants.bind(capability, name, text, origin),
            };
            added.map_err(|message| reader.error(value.span(), message, None))
        };
        if scope.binds() {
            let Some(bound) = item.as_table_like() else {
                let message = format!(
                    "`{verb}` is a table of lists by name, not {}",
                    described(item)
                );
                let example = sink::example(scope);
                let help = format!("write {verb} = {}", sink::table("name", example));
                return Err(reader.error(item.span(), message, Some(help)));
            };
            for (name, item) in bound.iter() {
                for value in list(reader, item, name)? {
                    add(value, Some(name))?;
                }
            }
            continue;
        }
        for value in list(reader, item, verb)? {
            add(value, None)?;
        }
    }
    Ok(())
}

fn list<'i>(
    reader: &Reader<'_>,
    item: &'i Item,
    key: &str,
) -> Result<&'i toml_edit::Array, ParseError> {
    item.as_array().ok_or_else(|| {
        let message = format!("`{key}` is a list, not {}", described(item));
        let entry = item.as_str().unwrap_or("…");
        let help = format!(
            "write {} = [{}]",
            sink::key(key),
            crate::escape::toml(entry)
        );
        reader.error(item.span(), message, Some(help))
    })
}
