//! The key's file: one line a key, `sloth-secrets-key-1` and 64 hexadecimal digits. There are two for
//! a moment while a key is replaced.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::error::Error;
use super::folder;

const PREFIX: &str = "sloth-secrets-key-1 ";

/// Where the key lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// `secrets.key` beside the sealed file. Made when first needed.
    Beside,
    /// A file of the operator's. Made when first needed.
    File(PathBuf),
    /// A file that the service manager hands over, which is not ours to make or change.
    Credential(PathBuf),
}

/// A key.
pub(super) struct Key(Zeroizing<[u8; 32]>);

impl KeyPlace {
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        match self {
            Self::Beside => folder.join("secrets.key"),
            Self::File(path) | Self::Credential(path) => path.clone(),
        }
    }

    /// The keys in the file, the one in use first; empty if there is no file.
    pub(super) fn read(&self, folder: &Path) -> Result<Vec<Key>, Error> {
        let path = self.path(folder);
        let read = folder::read(&path, 4096).map_err(Error::system("read the key", &path))?;
        let Some((content, metadata)) = read else {
            return Ok(Vec::new());
        };
        let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
        // The service manager lets a unit's account read a credential by an access list, which shows
        // as the group's bits.
        let others = match self {
            Self::Credential(_) => 0o007,
            Self::Beside | Self::File(_) => 0o077,
        };
        if mode & others != 0 {
            return Err(Error::Exposed { path, mode });
        }
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(Error::Foreign { path, owner });
        }
        let text = str::from_utf8(&content).ok();
        let keys: Option<Vec<Key>> = text.and_then(|text| text.lines().map(Key::parse).collect());
        match keys {
            Some(keys) if !keys.is_empty() => Ok(keys),
            _ => Err(Error::NotAKey { path }),
        }
    }

    /// Writes the keys.
    pub(super) fn write(&self, folder: &Path, keys: &[&Key]) -> Result<(), Error> {
        let path = self.path(folder);
        if let Self::Credential(_) = self {
            return Err(Error::NotOurs { path });
        }
        let mut text = Zeroizing::new(String::with_capacity(keys.len() * 128));
        for key in keys {
            text.push_str(PREFIX);
            for byte in key.0.iter() {
                write!(text, "{byte:02x}").expect("a String takes every write");
            }
            text.push('\n');
        }
        folder::replace(&path, text.as_bytes())
    }
}

impl Key {
    /// A fresh one.
    pub(super) fn draw() -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        random(&mut *bytes)?;
        Ok(Self(bytes))
    }

    fn parse(line: &str) -> Option<Self> {
        let digits = line.strip_prefix(PREFIX)?.trim_end().as_bytes();
        let mut bytes = Zeroizing::new([0; 32]);
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
        }
        Some(Self(bytes))
    }

    /// Tells keys apart without telling anything of them.
    pub(super) fn name(&self) -> String {
        let digest = Sha256::new()
            .chain_update(b"sloth-secrets: the name of a key\0")
            .chain_update(&self.0[..])
            .finalize();
        sloth_workflow::value::base16(&digest[..8])
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Bytes that nobody can foretell.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), Error> {
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        filled += rustix::rand::getrandom(&mut bytes[filled..], flags).map_err(|error| {
            Error::system("draw random bytes from", "/dev/urandom")(error.into())
        })?;
    }
    Ok(())
}
