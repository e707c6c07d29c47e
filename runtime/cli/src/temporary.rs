//! A folder that goes with the process.

#![expect(
    clippy::disallowed_methods,
    reason = "one of the rooms where this is at home; see clippy.toml"
)]

use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// How many names are tried.
const TRIES: usize = 16;

/// A folder for its owner alone, which is removed with everything in it when this value goes.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// Makes one, where such folders are made.
    pub(crate) fn make() -> anyhow::Result<Self> {
        let all = std::env::temp_dir();
        let all = std::path::absolute(&all)
            .with_context(|| format!("failed to find the folder {}", all.display()))?;
        for _ in 0..TRIES {
            let random = RandomState::new().build_hasher().finish();
            let folder = all.join(format!("sloth-runner-dev-{random:016x}"));
            // One that is there is somebody else's, or was put there to be used.
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => return Ok(Self(folder)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!(
                            "failed to make a folder in {}; name one with --data-dir",
                            all.display()
                        )
                    });
                }
            }
        }
        bail!(
            "failed to make a folder of a new name in {}; name one with --data-dir",
            all.display()
        )
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(
                "failed to remove {}: {error}; it can be removed by hand",
                self.0.display()
            );
        }
    }
}
