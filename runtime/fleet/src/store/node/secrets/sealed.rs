//! The sealed file: JSON, so that it can be looked at, with every value sealed by itself.

use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sloth_sandbox::ports::secrets::is_name;
use sloth_workflow::value::base16;
use zeroize::Zeroizing;

use super::error::Error;
use super::folder;
use super::key::{Key, random};

/// Longest file that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sealed {
    version: u32,
    /// The name of the key that it is sealed with.
    pub(super) key: String,
    pub(super) secrets: Vec<Entry>,
}

/// One secret.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    /// When it was set, in seconds since 1970.
    pub(super) set: u64,
    /// The selector of the agents that a master hands it to; none of a secret of the node's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) agents: Option<String>,
    /// Hexadecimal digits: 24 bytes that no other value was sealed with, then the sealed value.
    sealed: String,
}

impl Sealed {
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join("secrets.sealed")
    }

    /// Reads the file; none if there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = Self::path(folder);
        let read = folder::read(&path, LONGEST).map_err(Error::system("read", &path))?;
        let Some((content, _)) = read else {
            return Ok(None);
        };
        let damaged = |why: String| Error::Damaged {
            path: path.clone(),
            why,
        };
        let version = serde_json::from_slice::<serde_json::Value>(&content)
            .map_err(|error| damaged(error.to_string()))?["version"]
            .as_u64();
        if version.is_some_and(|version| version > 1) {
            return Err(Error::Later { path });
        }
        let sealed: Self =
            serde_json::from_slice(&content).map_err(|error| damaged(error.to_string()))?;
        match sealed.secrets.iter().find(|entry| !is_name(&entry.name)) {
            Some(_) => Err(damaged("it holds what is no name of a secret".to_owned())),
            None => Ok(Some(sealed)),
        }
    }

    /// One without secrets.
    pub(super) fn empty(key: &Key) -> Self {
        Self {
            version: 1,
            key: key.name(),
            secrets: Vec::new(),
        }
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self).expect("names and digits are plain data");
        folder::replace(&Self::path(folder), &text)
    }

    /// Seals a value, in the place of one of the same name. Says whether there was one.
    pub(super) fn put(&mut self, key: &Key, about: About<'_>, value: &str) -> Result<bool, Error> {
        let entry = Entry::seal(key, about, value)?;
        let place = self
            .secrets
            .binary_search_by(|other| other.name.as_str().cmp(about.name));
        match place {
            Ok(index) => self.secrets[index] = entry,
            Err(index) => self.secrets.insert(index, entry),
        }
        Ok(place.is_ok())
    }
}

impl Entry {
    fn seal(key: &Key, about: About<'_>, value: &str) -> Result<Self, Error> {
        let mut nonce = [0; 24];
        random(&mut nonce)?;
        let payload = Payload {
            msg: value.as_bytes(),
            aad: &about.bytes(),
        };
        let sealed = cipher(key)
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a value is shorter than what can be sealed");
        Ok(Self {
            name: about.name.to_owned(),
            set: about.set,
            agents: about.agents.map(str::to_owned),
            sealed: base16(&nonce) + &base16(&sealed),
        })
    }

    /// All that is said of it.
    pub(super) fn about(&self) -> About<'_> {
        About {
            name: &self.name,
            set: self.set,
            agents: self.agents.as_deref(),
        }
    }

    /// The value; none if it was not sealed so, under this name and with this key.
    pub(super) fn open(&self, key: &Key) -> Option<Zeroizing<String>> {
        let bytes = bytes(&self.sealed)?;
        let (nonce, sealed) = bytes.split_first_chunk::<24>()?;
        let payload = Payload {
            msg: sealed,
            aad: &self.about().bytes(),
        };
        let value = cipher(key).decrypt(&XNonce::from(*nonce), payload).ok()?;
        // What was sealed is text.
        String::from_utf8(value).ok().map(Zeroizing::new)
    }
}

/// What a value is sealed together with, so that it opens under its own name only, and goes to no other agents.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) name: &'a str,
    /// In seconds since 1970.
    pub(super) set: u64,
    pub(super) agents: Option<&'a str>,
}

impl About<'_> {
    fn bytes(self) -> Vec<u8> {
        let mut text = format!("sloth-secret 1\0{}\0{}", self.name, self.set);
        if let Some(agents) = self.agents {
            text.push('\0');
            text.push_str(agents);
        }
        text.into_bytes()
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
