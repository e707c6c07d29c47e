//! Locks of runs: a file for each name, held by the system for as long as the run's process lives.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The locks of a node.
#[derive(Clone, Debug)]
pub struct Locks {
    folder: PathBuf,
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct Held {
    _file: File,
}

impl Locks {
    /// Those in a data folder.
    pub fn beneath(data: &Path) -> Self {
        Self {
            folder: data.join("locks"),
        }
    }

    /// Takes a lock; none while another process, or another run of this one, has it. Does not wait.
    pub fn take(&self, name: &str) -> io::Result<Option<Held>> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.folder)?;
        // Names are a stranger's words: what they are hashed to names a file.
        let digest = Sha256::digest(name.as_bytes());
        let digits: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let file = options.open(self.folder.join(digits.concat()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_one_until_it_is_dropped() {
        let data = tempfile::tempdir().unwrap();
        let locks = Locks::beneath(data.path());
        let strange = "../../etc/passwd\0\n";
        let held = locks.take(strange).unwrap().unwrap();
        assert!(locks.take(strange).unwrap().is_none());
        assert!(locks.take("another").unwrap().is_some());
        drop(held);
        assert!(locks.take(strange).unwrap().is_some());
    }
}
