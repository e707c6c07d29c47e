//! A policy file: what a node grants, what it denies whatever is granted, and its ceilings.

use std::sync::Arc;

use toml_edit::{Document, Item, TableLike, Value};

use crate::capability::{Capability, Scope};
use crate::error::{ParseError, nearest};
use crate::finding::{self, Finding};
use crate::grants::{Grants, Origin, nouns, verbs_of};
use crate::limits::Limits;
use crate::reader::{Reader, described, key_span};
use crate::sink;

/// A node's policy. What it does not grant is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    limits: Limits,
    base: Grants,
    deny: Grants,
    rules: Vec<Rule>,
}

/// `[[rule]]`: more grants, for a bundle the node knows by its content.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// 64 hexadecimal digits.
    digest: String,
    grants: Grants,
}

const KEYS: &[&str] = &["version", "limits", "deny", "rule"];

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
        for (key, item) in root {
            match key {
                "version" => {}
                "limits" => policy.limits = Limits::read(&reader, item)?,
                "deny" => {
                    let table = reader.table(item, key)?;
                    policy.deny = grants(&reader, table, &[], "[deny]", &source)?;
                }
                "rule" => policy.rules = rules(&reader, item, &source)?,
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

    /// What a bundle is granted: the base, and every rule that names its digest. The digest is 64
    /// hexadecimal digits, with or without `sha256:` in front.
    pub fn grants_for(&self, bundle_digest: &str) -> Grants {
        let digest = bundle_digest
            .strip_prefix("sha256:")
            .unwrap_or(bundle_digest);
        self.rules
            .iter()
            .filter(|rule| rule.digest.eq_ignore_ascii_case(digest))
            .fold(self.base.clone(), |grants, rule| {
                grants.merge(rule.grants.clone())
            })
    }

    /// What is denied whatever is granted.
    pub fn deny(&self) -> &Grants {
        &self.deny
    }

    /// Every line, of the base and of the rules, that amounts to more than it says.
    pub fn warnings(&self) -> Vec<Finding> {
        let rules = self.rules.iter().flat_map(|rule| finding::of(&rule.grants));
        finding::of(&self.base).chain(rules).collect()
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
fn grants(
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
        if capability.scope() == Scope::Flag {
            let Some(granted) = item.as_bool() else {
                let message = format!("`{verb}` is true or false, not {}", described(item));
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
        if capability.scope().binds() {
            let Some(bound) = item.as_table_like() else {
                let message = format!(
                    "`{verb}` is a table of lists by name, not {}",
                    described(item)
                );
                let example = sink::example(capability.scope());
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

fn rules(reader: &Reader<'_>, item: &Item, source: &Arc<str>) -> Result<Vec<Rule>, ParseError> {
    let Some(tables) = item.as_array_of_tables() else {
        let message = format!("`rule` is a list of tables, not {}", described(item));
        return Err(reader.error(item.span(), message, Some("write [[rule]]".to_owned())));
    };
    tables
        .iter()
        .map(|table| {
            let Some(matched) = table.get("match") else {
                let help = "write match = { bundle = \"sha256:…\" }".to_owned();
                return Err(reader.error(table.span(), "the rule has no `match`", Some(help)));
            };
            let digest = digest(reader, matched)?;
            let grants = grants(reader, table, &["match"], "[[rule]]", source)?;
            Ok(Rule { digest, grants })
        })
        .collect()
}

/// Reads what a rule matches. Only the bundle's digest is something the node can check by itself.
fn digest(reader: &Reader<'_>, item: &Item) -> Result<String, ParseError> {
    let table = reader.table(item, "match")?;
    let by_digest = || Some("match by bundle = \"sha256:…\" instead".to_owned());
    for (key, _) in table.iter() {
        let message = match key {
            "bundle" => continue,
            "signed-by" => "signatures are not supported by this version".to_owned(),
            "workflow" | "stack" | "submitter" => {
                format!("`{key}` is somebody's word, which this node cannot check")
            }
            _ => {
                let help = nearest(key, ["bundle"]).or_else(by_digest);
                let message = format!("unknown key `{key}` in `match`");
                return Err(reader.error(key_span(table, key), message, help));
            }
        };
        return Err(reader.error(key_span(table, key), message, by_digest()));
    }
    let Some(bundle) = table.get("bundle") else {
        return Err(reader.error(item.span(), "`match` matches nothing", by_digest()));
    };
    let text = reader.string(bundle, "bundle", "\"sha256:…\"")?;
    match text.strip_prefix("sha256:") {
        Some(digits)
            if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) =>
        {
            Ok(digits.to_owned())
        }
        _ => {
            let help = "write sha256: and the 64 hexadecimal digits of the bundle".to_owned();
            Err(reader.error(bundle.span(), "`bundle` is not a digest", Some(help)))
        }
    }
}
