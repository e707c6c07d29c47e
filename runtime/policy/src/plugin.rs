//! `[plugin.NAME]`: what one plugin may reach of what its caller may.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml_edit::Item;

use crate::error::ParseError;
use crate::grants::Grants;
use crate::limits;
use crate::policy::grants;
use crate::reader::{Reader, described, key_span};

/// Longest name of a plugin, in bytes.
const LONGEST: usize = 64;

/// What a policy says of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The plugin's file must have this SHA-256: 64 lower-case hexadecimal digits. `sha256`.
    pub sha256: Option<String>,
    /// Memory of its instance in bytes, instead of what `[limits]` gives a step. `memory`, with the same
    /// bounds.
    pub memory: Option<u64>,
    /// What it may do where the task that calls it may as well.
    pub grants: Grants,
}

/// Whether a plugin can have this name: 1 to 64 lower-case letters, digits and `-`, of which the first is a
/// letter.
pub fn is_plugin_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST).contains(&name.len())
        && name.bytes().all(plain)
        && name.as_bytes()[0].is_ascii_lowercase()
}

/// Reads `[plugin.NAME]`s.
pub(crate) fn sections(
    reader: &Reader<'_>,
    item: &Item,
    source: &Arc<str>,
) -> Result<BTreeMap<String, Section>, ParseError> {
    const OWN: &[&str] = &["sha256", "memory"];
    let table = reader.table(item, "plugin")?;
    let mut sections = BTreeMap::new();
    for (name, item) in table.iter() {
        if !is_plugin_name(name) {
            let message = format!("`{name}` is no name of a plugin");
            let help = "names are of lower-case letters, digits and `-`".to_owned();
            return Err(reader.error(key_span(table, name), message, Some(help)));
        }
        let Some(inner) = item.as_table_like() else {
            let message = format!("`plugin.{name}` is a table, not {}", described(item));
            let help = format!("write [plugin.{name}] and its keys below");
            return Err(reader.error(item.span(), message, Some(help)));
        };
        let mut section = Section {
            grants: grants(reader, inner, OWN, &format!("[plugin.{name}]"), source)?,
            ..Section::default()
        };
        if let Some(item) = inner.get("memory") {
            section.memory = Some(limits::memory(reader, item)?);
        }
        if let Some(item) = inner.get("sha256") {
            section.sha256 = Some(digest(reader, item)?);
        }
        sections.insert(name.to_owned(), section);
    }
    Ok(sections)
}

fn digest(reader: &Reader<'_>, item: &Item) -> Result<String, ParseError> {
    let text = reader.string(item, "sha256", "\"…\"")?;
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(digits.to_ascii_lowercase());
    }
    let help = "write the 64 hexadecimal digits that sloth-runner plugin list prints".to_owned();
    Err(reader.error(item.span(), "`sha256` is no digest", Some(help)))
}
