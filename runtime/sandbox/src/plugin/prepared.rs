//! A plugin that is ready to be instantiated: compiled, linked, its types read.

use std::path::Path;

use sloth_workflow::cbor;
use wasmparser::{Parser, Payload};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use super::offer::Offer;
use super::state::State;
use crate::{artefact, host};

/// Most bytes of a plugin's file.
pub const MOST_BYTES: u64 = 64 << 20;
/// Most functions, imports and globals of one of its core modules.
const MOST_PARTS: u32 = 100_000;

/// What a plugin is, whoever calls it.
pub(crate) struct Prepared {
    pub(crate) pre: InstancePre<State>,
    pub(crate) offer: Offer,
    /// The offer as Lua gets it, in CBOR.
    pub(crate) described: Vec<u8>,
}

impl Prepared {
    /// Compiles a plugin of a digest, or takes what was compiled of it before: then nobody asks for its content, which
    /// was looked at that time. The error says why it is none, as a phrase that begins with “it”.
    pub(crate) fn make<C: AsRef<[u8]>>(
        engine: &Engine,
        linker: &Linker<State>,
        digest: &str,
        cache: &Path,
        content: impl FnOnce() -> Result<C, String>,
    ) -> Result<Self, String> {
        let compile = || {
            let content = content().map_err(Unbearable)?;
            let content = content.as_ref();
            is_component(content).map_err(Unbearable)?;
            is_bearable(content).map_err(Unbearable)?;
            Component::from_binary(engine, content)
        };
        let component = artefact::plugin(engine, cache, digest, compile);
        let component = component.map_err(|error| unreadable(&error))?;
        let offer = Offer::read(engine, &component)?;
        offer.imports.iter().try_for_each(|name| is_known(name))?;
        let pre = linker.instantiate_pre(&component);
        let pre =
            pre.map_err(|error| format!("it asks for what is not here: {}", reason(&error)))?;
        let described = cbor::encode(&offer.described());
        Ok(Self {
            pre,
            offer,
            described,
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.pre.component().engine()
    }
}

/// Why a plugin is not compiled at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unbearable(String);

/// Whether the bytes begin as a component's do. Everything else about them is for the compiler to say.
fn is_component(content: &[u8]) -> Result<(), String> {
    let most = MOST_BYTES >> 20;
    if content.len() as u64 > MOST_BYTES {
        return Err(format!("it is larger than {most} MiB"));
    }
    // The magic number, then version and layer: a module is of layer 0, a component of layer 1.
    match content.get(..8) {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => Err(
            "it is a core module and not a component; sloth-runner plugin pack makes a component of one \
             that wit-bindgen built"
                .to_owned(),
        ),
        Some([0, b'a', b's', b'm', ..]) => {
            Err("it is of a version of WebAssembly that is not known here".to_owned())
        }
        _ => Err("it is no WebAssembly component".to_owned()),
    }
}

/// Whether its instances are of a size that a step can be given. Each has a place for every function and global of
/// its module, in the host's own memory, which no limit of the step counts.
fn is_bearable(content: &[u8]) -> Result<(), String> {
    let mut parts = 0;
    for payload in Parser::new(0).parse_all(content) {
        let payload = payload.map_err(|error| format!("it is damaged: {error}"))?;
        parts += match payload {
            Payload::Version { .. } => {
                parts = 0;
                0
            }
            Payload::ImportSection(section) => section.count(),
            Payload::FunctionSection(section) => section.count(),
            Payload::GlobalSection(section) => section.count(),
            _ => 0,
        };
        if parts > MOST_PARTS {
            return Err(format!(
                "one of its modules has more than {MOST_PARTS} functions and globals"
            ));
        }
    }
    Ok(())
}

fn unreadable(error: &wasmtime::Error) -> String {
    if let Some(Unbearable(why)) = error.downcast_ref() {
        return why.clone();
    }
    let why = reason(error);
    let asynchronous = [
        "component model async",
        "async functions",
        "`stream`",
        "`future`",
    ];
    if asynchronous.iter().any(|word| why.contains(word)) {
        return format!(
            "it uses async functions, streams or futures, which cannot be called yet ({why}); build it for \
             plain functions and WASI 0.2"
        );
    }
    format!("it is damaged or uses what is not supported: {why}")
}

/// The innermost reason, in one line.
fn reason(error: &wasmtime::Error) -> String {
    let words = format!("{error:#}");
    words.lines().next().unwrap_or_default().to_owned()
}

/// Whether an import is one that exists here, in this version.
fn is_known(import: &str) -> Result<(), String> {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let newer = |have: &str| {
        Err(format!(
            "it imports {import}, and this version of sloth-runner has {have}; build it against that"
        ))
    };
    if let Some(noun) = name.strip_prefix("sloth:host/") {
        if noun == "plugins" {
            return Err("it imports sloth:host/plugins, and plugins call no plugins".to_owned());
        }
        if !host::NOUNS.contains(&noun) {
            let known = host::NOUNS.join(", ");
            return Err(format!(
                "it imports {import}, which does not exist; sloth:host has {known}"
            ));
        }
        if version != "0.1.0" {
            return newer("sloth:host@0.1.0");
        }
        return Ok(());
    }
    if name.starts_with("wasi:") {
        if !version.starts_with("0.2.") {
            return newer("WASI 0.2");
        }
        return Ok(());
    }
    Err(format!(
        "it imports {import}, which does not exist here; a plugin may import sloth:host and WASI 0.2"
    ))
}
