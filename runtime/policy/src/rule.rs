//! `[keys]` and `[[rule]]`: more grants for bundles that a node can recognise by itself.

use std::sync::Arc;

use toml_edit::{Item, TableLike};

use crate::digits::bytes_of;
use crate::error::{ParseError, nearest};
use crate::escape::visible;
use crate::grants::Grants;
use crate::policy::grants;
use crate::reader::{Reader, described, key_span};

/// What is known of a bundle and of the run it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// 64 hexadecimal digits, with or without `sha256:` in front.
    pub digest: String,
    /// The names of those keys of the policy that the bundle was found to be signed with.
    pub signers: Vec<String>,
    /// The workflow's name, which its author chose.
    pub workflow: String,
    /// The name that runs are grouped under, which the caller chose.
    pub stack: String,
    /// The values that the caller gave: `none`, or `sha256:` and 64 hexadecimal digits.
    pub values: String,
}

impl Identity {
    /// Of a bundle of which nothing is known: no rule matches it.
    pub fn unknown() -> Self {
        Self::default()
    }
}

impl From<&str> for Identity {
    /// Of a bundle of which nothing is known but its digest.
    fn from(digest: &str) -> Self {
        Self {
            digest: digest.to_owned(),
            ..Self::default()
        }
    }
}

impl From<&Self> for Identity {
    fn from(identity: &Self) -> Self {
        identity.clone()
    }
}

impl From<&String> for Identity {
    fn from(digest: &String) -> Self {
        Self::from(digest.as_str())
    }
}

/// A public key of `[keys]`, by the name that rules use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedKey {
    /// As the policy calls it.
    pub name: String,
    /// Ed25519.
    pub key: [u8; 32],
}

/// `[[rule]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// 64 hexadecimal digits.
    digest: Option<String>,
    signed_by: Option<String>,
    /// Names of others: they narrow what the node has recognised itself.
    workflow: Option<String>,
    stack: Option<String>,
    values: Option<String>,
    pub(crate) grants: Grants,
}

impl Rule {
    /// What it asks of a bundle, as the policy writes it. Holds text of the policy, escaped for a terminal.
    pub(crate) fn condition(&self) -> String {
        let asked = [
            ("bundle", &self.digest),
            ("signed-by", &self.signed_by),
            ("workflow", &self.workflow),
            ("stack", &self.stack),
            ("values", &self.values),
        ];
        let said: Vec<String> = asked
            .into_iter()
            .filter_map(|(key, wanted)| {
                let sha = if key == "bundle" { "sha256:" } else { "" };
                Some(format!("{key} = \"{sha}{}\"", visible(wanted.as_ref()?)))
            })
            .collect();
        format!("match = {{ {} }}", said.join(", "))
    }

    pub(crate) fn matches(&self, bundle: &Identity) -> bool {
        let digest = bundle
            .digest
            .strip_prefix("sha256:")
            .unwrap_or(&bundle.digest);
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        self.digest
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(digest))
            && self
                .signed_by
                .as_ref()
                .is_none_or(|key| bundle.signers.contains(key))
            && is(&self.workflow, &bundle.workflow)
            && is(&self.stack, &bundle.stack)
            && is(&self.values, &bundle.values)
    }
}

/// Reads `[keys]`: name = "ed25519:…".
pub(crate) fn keys(reader: &Reader<'_>, item: &Item) -> Result<Vec<NamedKey>, ParseError> {
    let table = reader.table(item, "keys")?;
    table
        .iter()
        .map(|(name, item)| {
            let text = reader.string(item, name, "\"ed25519:…\"")?;
            let key = text.strip_prefix("ed25519:").and_then(bytes_of);
            let Some(key) = key else {
                let help = "write ed25519: and 64 hexadecimal digits; sloth-runner sign --new-key \
                            prints them";
                let message = format!("`{name}` is no public key");
                return Err(reader.error(item.span(), message, Some(help.to_owned())));
            };
            Ok(NamedKey {
                name: name.to_owned(),
                key,
            })
        })
        .collect()
}

/// Reads `[[rule]]`s.
pub(crate) fn rules(
    reader: &Reader<'_>,
    item: &Item,
    known: &[NamedKey],
    source: &Arc<str>,
) -> Result<Vec<Rule>, ParseError> {
    let Some(tables) = item.as_array_of_tables() else {
        let message = format!("`rule` is a list of tables, not {}", described(item));
        return Err(reader.error(item.span(), message, Some("write [[rule]]".to_owned())));
    };
    tables
        .iter()
        .map(|table| {
            let Some(matched) = table.get("match") else {
                let help = "write match = { signed-by = \"…\" } or { bundle = \"sha256:…\" }";
                let message = "the rule has no `match`";
                return Err(reader.error(table.span(), message, Some(help.to_owned())));
            };
            let grants = grants(reader, table, &["match"], "[[rule]]", source)?;
            rule(reader, matched, known, grants)
        })
        .collect()
}

fn rule(
    reader: &Reader<'_>,
    item: &Item,
    known: &[NamedKey],
    grants: Grants,
) -> Result<Rule, ParseError> {
    let table = reader.table(item, "match")?;
    let recognised = || {
        Some(
            "add signed-by = \"…\" or bundle = \"sha256:…\": only these the node can check"
                .to_owned(),
        )
    };
    let mut rule = Rule {
        digest: None,
        signed_by: None,
        workflow: None,
        stack: None,
        values: None,
        grants,
    };
    for (key, item) in table.iter() {
        match key {
            "bundle" => rule.digest = Some(digest(reader, item)?),
            "signed-by" => rule.signed_by = Some(signer(reader, item, known)?),
            "workflow" => rule.workflow = Some(name(reader, item, key)?),
            "stack" => rule.stack = Some(name(reader, item, key)?),
            "values" => rule.values = Some(values(reader, item)?),
            "submitter" => {
                let message = "`submitter` is somebody's word, which this node cannot check";
                return Err(reader.error(key_span(table, key), message, recognised()));
            }
            _ => return Err(unknown(reader, table, key)),
        }
    }
    if rule.digest.is_none() && rule.signed_by.is_none() {
        let message = if rule.workflow.is_some() || rule.stack.is_some() || rule.values.is_some() {
            "names and values are somebody's word: they may narrow a match, never make one"
        } else {
            "`match` matches nothing"
        };
        return Err(reader.error(item.span(), message, recognised()));
    }
    Ok(rule)
}

fn unknown(reader: &Reader<'_>, table: &dyn TableLike, key: &str) -> ParseError {
    let known = ["bundle", "signed-by", "workflow", "stack", "values"];
    let help = nearest(key, known).unwrap_or_else(|| format!("known here: {}", known.join(", ")));
    let message = format!("unknown key `{key}` in `match`");
    reader.error(key_span(table, key), message, Some(help))
}

fn name(reader: &Reader<'_>, item: &Item, key: &str) -> Result<String, ParseError> {
    reader.string(item, key, "\"deploy\"").map(str::to_owned)
}

fn signer(reader: &Reader<'_>, item: &Item, known: &[NamedKey]) -> Result<String, ParseError> {
    let name = reader.string(item, "signed-by", "\"ops\"")?;
    if known.iter().any(|key| key.name == name) {
        return Ok(name.to_owned());
    }
    let message = format!("there is no key `{name}` in [keys]");
    let help = nearest(name, known.iter().map(|key| key.name.as_str()))
        .unwrap_or_else(|| format!("write [keys] and {name} = \"ed25519:…\" below"));
    Err(reader.error(item.span(), message, Some(help)))
}

fn values(reader: &Reader<'_>, item: &Item) -> Result<String, ParseError> {
    let text = reader.string(item, "values", "\"none\"")?;
    if text == "none" {
        return Ok(text.to_owned());
    }
    let digits = hexadecimal(text).map(|digits| format!("sha256:{}", digits.to_ascii_lowercase()));
    digits.ok_or_else(|| {
        let help = "write \"none\", or sha256: and the 64 hexadecimal digits that `plan` prints";
        reader.error(
            item.span(),
            "`values` is no digest of values",
            Some(help.to_owned()),
        )
    })
}

/// The 64 digits behind `sha256:`.
fn hexadecimal(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("sha256:")?;
    let are_digits = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    are_digits.then_some(digits)
}

fn digest(reader: &Reader<'_>, item: &Item) -> Result<String, ParseError> {
    let text = reader.string(item, "bundle", "\"sha256:…\"")?;
    hexadecimal(text).map(str::to_owned).ok_or_else(|| {
        let help = "write sha256: and the 64 hexadecimal digits of the bundle".to_owned();
        reader.error(item.span(), "`bundle` is not a digest", Some(help))
    })
}
