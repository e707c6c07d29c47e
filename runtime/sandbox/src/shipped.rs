//! The compiled guest as a package ships it: one file, made when the package is built, so that no node compiles.
//!
//! What is loaded here runs as native code of this process. The file says of what guest and program it is and what its
//! content sums up to, and is taken only from root or this user, and only if nobody else can write it. One that does
//! not fit is refused rather than passed over: who names it counts on it.

#![expect(
    clippy::disallowed_methods,
    reason = "the one room where this is at home; see clippy.toml"
)]

use std::fs::{self, File, Metadata};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use sloth_policy::Policy;
use wasmtime::component::Component;
use wasmtime::error::Context;
use wasmtime::{Engine, Result, bail};

use crate::artefact::{GUEST, GUEST_SHA256};
use crate::engine;

/// The first line says what the file is; the rest is wasmtime's.
const WHAT: &str = "sloth-runner compiled guest";
/// Far more than a compiled guest takes.
const MOST: u64 = 256 << 20;

/// Compiles the guest for any processor of this machine's kind, and puts it where `out` is, readable for all.
pub fn precompile(out: &Path) -> Result<()> {
    let engine = engine::for_any_processor(Policy::nothing().limits())?;
    let compiled = engine.precompile_component(GUEST)?;
    let mut content = header(&sum(&compiled)).into_bytes();
    content.extend(compiled);
    write(out, &content).with_context(|| format!("failed to write {}", out.display()))
}

/// Loads what [`precompile`] made.
pub(crate) fn load(engine: &Engine, path: &Path) -> Result<Component> {
    let anew = || {
        format!(
            "the compiled guest {} is refused; make it anew with sloth-runner sandbox precompile --out FILE, or name none",
            path.display()
        )
    };
    let content = read(path).with_context(anew)?;
    let compiled = checked(&content).with_context(anew)?;
    #[expect(
        unsafe_code,
        reason = "deserialising trusts the file, which is checked to be root's or ours"
    )]
    // SAFETY: the bytes are those of a file that root or this user owns and nobody else can write, and they are what
    // `precompile` of this version wrote: its first line holds the guest's digest and the sum of the rest. They were
    // read once, and are looked at where they were read to.
    let component = unsafe { Component::deserialize(engine, compiled) };
    component.with_context(anew)
}

fn header(sum: &str) -> String {
    format!(
        "{WHAT} {} {GUEST_SHA256} {sum}\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn sum(compiled: &[u8]) -> String {
    Sha256::digest(compiled)
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// What is behind a first line that fits.
fn checked(content: &[u8]) -> Result<&[u8]> {
    let end = content.iter().take(512).position(|byte| *byte == b'\n');
    let Some((first, compiled)) = end.map(|end| (&content[..end], &content[end + 1..])) else {
        bail!("it is not a compiled guest");
    };
    let Some(said) = first.strip_prefix(WHAT.as_bytes()) else {
        bail!("it is not a compiled guest");
    };
    let words: Vec<&str> = std::str::from_utf8(said)
        .unwrap_or_default()
        .split_ascii_whitespace()
        .collect();
    let [version, guest, sum_said] = words[..] else {
        bail!("it is not a compiled guest");
    };
    if version != env!("CARGO_PKG_VERSION") || guest != GUEST_SHA256 {
        bail!("it is of another version of sloth-runner");
    }
    if sum(compiled) != sum_said {
        bail!("its content is not what was written");
    }
    Ok(compiled)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let file = File::options()
        .read(true)
        // A pipe would be waited for without end.
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    trusted(&file.metadata()?)?;
    let mut content = Vec::new();
    file.take(MOST).read_to_end(&mut content)?;
    Ok(content)
}

fn trusted(metadata: &Metadata) -> Result<()> {
    if !metadata.is_file() {
        bail!("it is not a file");
    }
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != own {
        bail!("it belongs to another user");
    }
    if metadata.mode() & 0o022 != 0 {
        bail!("it can be written by others; chmod go-w it");
    }
    Ok(())
}

/// Beside its place first, so that a program that starts meanwhile finds the old one or the new one.
fn write(out: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut beside = out.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&beside)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, out));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(content: &[u8]) -> String {
        checked(content).unwrap_err().to_string()
    }

    #[test]
    fn what_was_written_is_taken_and_nothing_else() {
        let mut content = header(&sum(b"code")).into_bytes();
        content.extend(b"code");
        assert_eq!(checked(&content).unwrap(), b"code");
        content.push(b'!');
        assert_eq!(refusal(&content), "its content is not what was written");
        let other = format!("{WHAT} 0.0.1 {GUEST_SHA256} {}\ncode", sum(b"code"));
        assert_eq!(
            refusal(other.as_bytes()),
            "it is of another version of sloth-runner"
        );
        for strange in [&b""[..], b"\n", b"\x7fELF\n", WHAT.as_bytes(), &[0xff; 600]] {
            assert_eq!(refusal(strange), "it is not a compiled guest");
        }
        let words = format!("{WHAT} a b c d\n");
        assert_eq!(refusal(words.as_bytes()), "it is not a compiled guest");
    }
}
