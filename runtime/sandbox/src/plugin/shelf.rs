//! Where plugins are found: the node's folder with its file of digests, and what the bundle carries.

#![expect(
    clippy::disallowed_methods,
    reason = "the node's own folder, not a step's path"
)]

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sloth_workflow::value::base16;

use super::prepared::MOST_BYTES;

/// The file of digests, beside the plugins.
pub const LOCK: &str = "plugins.lock";

/// What the file of digests says: of each plugin, which file it must be.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Of this file's form: 1.
    pub version: u32,
    /// By name.
    #[serde(default)]
    pub plugin: BTreeMap<String, Locked>,
}

/// One plugin of the file.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// 64 hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

impl Default for Lock {
    fn default() -> Self {
        Self {
            version: 1,
            plugin: BTreeMap::new(),
        }
    }
}

impl Lock {
    /// Reads the file of a folder; one that has none has no plugins. Refuses what others could write.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let path = folder.join(LOCK);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        for checked in [folder, &path] {
            trusted(checked, &fs::metadata(checked)?)?;
        }
        let invalid = |reason: String| {
            let path = path.display();
            io::Error::new(io::ErrorKind::InvalidData, format!("{path}: {reason}"))
        };
        let lock: Self =
            toml::from_str(&text).map_err(|error| invalid(error.message().to_owned()))?;
        if lock.version != 1 {
            return Err(invalid(format!("version {} is not known", lock.version)));
        }
        Ok(lock)
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let text = toml::to_string(self).expect("tables of texts and numbers");
        format!("# Written by sloth-runner plugin add and remove.\n{text}")
    }
}

/// Changes to a folder of plugins, one at a time.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    /// What it holds now.
    pub lock: Lock,
    /// Nobody else changes it meanwhile.
    held: File,
}

impl Shelf {
    /// Opens a folder, made if it is missing, and waits until nobody else changes it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)?;
        let held = File::open(folder)?;
        rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive)?;
        Ok(Self {
            folder: folder.to_owned(),
            lock: Lock::read(folder)?,
            held,
        })
    }

    /// Puts a plugin there under a name, in place of what has it. The file first: what the file of digests
    /// does not name is not used.
    pub fn put(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let locked = Locked {
            sha256: digest(content),
            size: content.len() as u64,
        };
        self.write(&format!("{name}.wasm"), content)?;
        self.lock.plugin.insert(name.to_owned(), locked);
        self.write(LOCK, self.lock.text().as_bytes())
    }

    /// Takes a plugin away. The file of digests first.
    pub fn remove(&mut self, name: &str) -> io::Result<bool> {
        let known = self.lock.plugin.remove(name).is_some();
        if known {
            self.write(LOCK, self.lock.text().as_bytes())?;
        }
        match fs::remove_file(file(&self.folder, name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(known),
            Err(error) => Err(error),
        }
    }

    /// Writes a file beside its place and renames it there.
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let temporary = self.folder.join(format!(".{name}.new"));
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, self.folder.join(name))?;
        self.held.sync_all()
    }
}

/// Reads a plugin of a folder, if it is what the file of digests says.
pub fn content(folder: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    let lock = Lock::read(folder)?;
    let Some(locked) = lock.plugin.get(name) else {
        return Ok(None);
    };
    let path = file(folder, name);
    Stamp::of(&path)?;
    let content = fs::read(&path)?;
    if digest(&content) == locked.sha256 {
        return Ok(Some(content));
    }
    Err(refused(
        &path,
        "is not what plugins.lock says: it was changed",
    ))
}

/// The file of a plugin of a folder.
pub fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.wasm"))
}

/// The name under which a bundle carries a plugin.
pub fn carried(name: &str) -> String {
    format!("plugins/{name}.wasm")
}

/// SHA-256 as 64 hexadecimal digits.
pub fn digest(content: &[u8]) -> String {
    base16(&Sha256::digest(content))
}

/// What tells whether a file is still the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of a file that only root or this user can write.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        trusted(path, &metadata)?;
        if metadata.len() > MOST_BYTES {
            return Err(refused(path, "is larger than a plugin may be"));
        }
        Ok(Self {
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Reads a plugin's file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// Whether nobody but root and this user can write it.
fn trusted(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(refused(path, "belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(refused(path, "can be written by others; chmod go-w it"));
    }
    Ok(())
}

fn refused(path: &Path, why: &str) -> io::Error {
    let path = path.display();
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{path} {why}"))
}
