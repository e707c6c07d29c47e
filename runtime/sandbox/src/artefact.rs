//! The compiled guest, kept in a file so that only the first start compiles.
//!
//! What is loaded here runs as native code of this process, so it is loaded only from a folder that
//! nobody but this user can write, and only when its bytes are what this program once wrote: the
//! file's name carries the guest's digest, the engine's compatibility hash and a checksum of the
//! content. Anything else is compiled anew.

#![expect(
    clippy::disallowed_methods,
    reason = "the one room where this is at home; see clippy.toml"
)]

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// The guest as built from `guest/`, with its SHA-256.
pub(crate) const GUEST: &[u8] = include_bytes!("../../../guest/lua.wasm");
pub(crate) const GUEST_SHA256: &str = env!("SLOTH_GUEST_SHA256");

/// What the names of compiled guests and of compiled plugins begin with.
const GUEST_KIND: &str = "lua-";
const PLUGIN_KIND: &str = "plugin-";
/// Most bytes of compiled plugins that are kept; beyond, those go that were used longest ago.
const MOST_OF_PLUGINS: u64 = 2 << 30;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// How the guest was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Mapped from the cache.
    Cached,
    /// Compiled, and kept for the next start.
    Compiled,
    /// Compiled, and not kept: there is no safe folder to keep it in.
    CompiledOnly,
    /// Loaded from the file that a package ships.
    Shipped,
}

/// Loads the guest from `folder`, or compiles it and keeps it there.
pub(crate) fn load(engine: &Engine, folder: &Path) -> wasmtime::Result<(Component, Origin)> {
    let stem = stem(engine, GUEST_KIND, GUEST_SHA256);
    kept(engine, folder, &stem, || {
        Component::from_binary(engine, GUEST)
    })
}

/// Loads a plugin by its digest from `folder`, or compiles it and keeps it there.
pub(crate) fn plugin(
    engine: &Engine,
    folder: &Path,
    digest: &str,
    compile: impl FnOnce() -> wasmtime::Result<Component>,
) -> wasmtime::Result<Component> {
    let stem = stem(engine, PLUGIN_KIND, digest);
    let (component, origin) = kept(engine, folder, &stem, compile)?;
    if origin == Origin::Compiled {
        keep_newest(folder, PLUGIN_KIND, MOST_OF_PLUGINS);
    }
    Ok(component)
}

fn kept(
    engine: &Engine,
    folder: &Path,
    stem: &str,
    compile: impl FnOnce() -> wasmtime::Result<Component>,
) -> wasmtime::Result<(Component, Origin)> {
    if let Err(error) = secure(folder) {
        tracing::warn!("what is compiled is not kept: {error}; each start compiles anew");
        return Ok((compile()?, Origin::CompiledOnly));
    }
    if let Some(component) = find(engine, folder, stem) {
        return Ok((component, Origin::Cached));
    }
    let component = compile()?;
    match keep(folder, stem, &component.serialize()?) {
        Ok(()) => Ok((component, Origin::Compiled)),
        Err(error) => {
            tracing::warn!("what is compiled is not kept: {error}");
            Ok((component, Origin::CompiledOnly))
        }
    }
}

fn stem(engine: &Engine, kind: &str, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{kind}{}-{:016x}-", digest, hasher.finish())
}

/// Makes the folder if it is missing, and refuses one that another user owns or can write.
fn secure(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let metadata = fs::symlink_metadata(folder)?;
    own(&metadata, folder)?;
    if metadata.is_dir() {
        Ok(())
    } else {
        Err(refused(folder, "is not a folder"))
    }
}

fn own(metadata: &fs::Metadata, path: &Path) -> io::Result<()> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(refused(path, "belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(refused(path, "can be written by others; chmod go-w it"));
    }
    Ok(())
}

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{} {why}", path.display()),
    )
}

fn find(engine: &Engine, folder: &Path, stem: &str) -> Option<Component> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let name = entry.file_name();
        let Some(sum) = name.to_str().and_then(|name| name.strip_prefix(stem)) else {
            continue;
        };
        let path = entry.path();
        match checked(&path, sum.trim_end_matches(".cwasm")) {
            Ok(()) => match map(engine, &path) {
                Ok(component) => return Some(component),
                Err(error) => tracing::warn!("{} is compiled anew: {error:#}", path.display()),
            },
            Err(error) => tracing::warn!("{} is compiled anew: {error}", path.display()),
        }
        // What did not load now never will.
        let _ = fs::remove_file(&path);
    }
    None
}

/// Whether the file is this user's own and still holds what was written.
fn checked(path: &Path, sum: &str) -> io::Result<()> {
    let mut file = File::options()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    let metadata = file.metadata()?;
    own(&metadata, path)?;
    if !metadata.is_file() {
        return Err(refused(path, "is not a file"));
    }
    // Which of them were used longest ago is told by this.
    let _ = file.set_modified(std::time::SystemTime::now());
    let mut hasher = Xxh3::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => hasher.update(&piece[..read]),
        }
    }
    if shown(hasher.digest128()) == sum {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "its content does not match its name",
        ))
    }
}

fn map(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    #[expect(
        unsafe_code,
        reason = "deserialising trusts the file, which is checked to be ours"
    )]
    // SAFETY: the bytes were written by this program for this engine: the folder and the file
    // belong to this user and nobody else can write them, and the checksum in the name holds.
    unsafe {
        Component::deserialize_file(engine, path)
    }
}

fn checksum(content: &[u8]) -> String {
    shown(xxh3_128(content))
}

fn shown(sum: u128) -> String {
    format!("{sum:032x}")
}

/// Writes the artefact beside its place and renames it there, and drops those of other versions.
fn keep(folder: &Path, stem: &str, artefact: &[u8]) -> io::Result<()> {
    let path = folder.join(format!("{stem}{}.cwasm", checksum(artefact)));
    let temporary = folder.join(format!(".{stem}{}", std::process::id()));
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .or_else(|_| {
            fs::remove_file(&temporary)?;
            File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary)
        })?;
    file.write_all(artefact)?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    if stem.starts_with(GUEST_KIND) {
        drop_others(folder, &path);
    }
    Ok(())
}

/// Drops compiled plugins that were used longest ago, until what stays is no more than so many bytes.
fn keep_newest(folder: &Path, kind: &str, most: u64) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(kind))
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    found.sort_unstable_by(|left, right| right.cmp(left));
    let mut kept = 0;
    for (_, size, path) in found {
        kept += size;
        if kept > most {
            let _ = fs::remove_file(&path);
        }
    }
}

fn drop_others(folder: &Path, keep: &Path) {
    let old = |path: &PathBuf| {
        path != keep
            && (path.file_name()).is_some_and(|name| name.to_string_lossy().starts_with(GUEST_KIND))
            && path.extension().is_some_and(|extension| extension == "cwasm")
            // Another version of the program may be in use beside this one; a month is enough.
            && fs::metadata(path)
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() > 30 * 86_400))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(old) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_digest_in_the_files_name_is_that_of_the_guest_in_this_very_program() {
        let digest = Sha256::digest(GUEST)
            .iter()
            .fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
        assert_eq!(GUEST_SHA256, digest);
    }
}
