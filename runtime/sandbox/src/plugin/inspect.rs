//! What a plugin is and could ask for, for who is about to trust it. Nothing of it runs.

use std::path::Path;

use super::prepared::Prepared;
use super::{library, shelf};
use crate::host;

/// What is known of a plugin without running it.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// Of the file, 64 hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// One a line, `api.render(text: string) -> string`.
    pub functions: Vec<String>,
    /// Nouns of `sloth:host` that it imports, such as `files`: what it can ask of the node.
    pub nouns: Vec<String>,
    /// Interfaces of WASI that it imports, such as `wasi:filesystem/types@0.2.3`.
    pub wasi: Vec<String>,
    /// Its WIT.
    pub wit: String,
}

/// Compiles a plugin, keeps that in the cache, and tells what it is. The error says why it is none, as a
/// phrase that begins with “it”.
pub fn inspect(content: &[u8], cache: &Path) -> Result<Inspected, String> {
    let words = |error: wasmtime::Error| format!("it cannot be looked at: {error:#}");
    let (engine, linker) = library::base().map_err(words)?;
    let sha256 = shelf::digest(content);
    let prepared = Prepared::make(&engine, &linker, &sha256, cache, || Ok(content))?;
    let nouns = prepared.offer.imports.iter().filter_map(|import| {
        let noun = import.strip_prefix("sloth:host/")?;
        let noun = noun.split('@').next()?;
        host::ASKING.contains(&noun).then(|| noun.to_owned())
    });
    let wasi = prepared.offer.imports.iter();
    let wasi = wasi.filter(|import| import.starts_with("wasi:")).cloned();
    Ok(Inspected {
        sha256,
        size: content.len() as u64,
        functions: prepared.offer.signatures(),
        nouns: nouns.collect(),
        wasi: wasi.collect(),
        wit: wit(content).unwrap_or_else(|error| format!("// its WIT cannot be read: {error}\n")),
    })
}

/// The world of a component as text, without what it only imports from elsewhere.
fn wit(content: &[u8]) -> Result<String, String> {
    let decoded = wit_component::decode(content).map_err(|error| format!("{error:#}"))?;
    let mut printer = wit_component::WitPrinter::default();
    let (resolve, package) = (decoded.resolve(), decoded.package());
    let others = resolve.packages.iter().map(|(id, _)| id);
    let others: Vec<_> = others.filter(|id| *id != package).collect();
    let done = printer.print(resolve, package, &others);
    done.map_err(|error| format!("{error:#}"))?;
    Ok(printer.output.to_string())
}
