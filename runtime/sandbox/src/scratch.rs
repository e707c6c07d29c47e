//! The private folder of one step: made when first used, gone when the step ends.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::interrupt::Interrupt;

/// How often it is measured at most.
pub(crate) const MEASURED_EVERY: Duration = Duration::from_millis(250);
/// What an entry takes of the quota at least: names and empty files fill a disk as well.
const LEAST_ENTRY: u64 = 4 << 10;

/// Makes the folder that holds the steps' folders, and gives where it really lies.
pub(crate) fn parent(folder: &Path) -> io::Result<String> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let path = folder.canonicalize()?;
    path.into_os_string().into_string().map_err(|path| {
        io::Error::other(format!(
            "the data folder's path {} is not UTF-8",
            path.display()
        ))
    })
}

/// A folder that only this user can enter. Dropping it removes it with all in it.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: String,
    /// In bytes.
    quota: u64,
    made: OnceLock<()>,
    /// When it was measured last, and whether it held too much.
    measured: Mutex<Option<(Instant, bool)>>,
}

impl Scratch {
    /// A fresh name beneath `parent`; nothing is made yet.
    pub(crate) fn beneath(parent: &str, quota: u64) -> io::Result<Self> {
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        Ok(Self {
            path: format!("{parent}/step-{:032x}", u128::from_le_bytes(random)),
            quota,
            made: OnceLock::new(),
            measured: Mutex::new(None),
        })
    }

    /// Absolute and free of links.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Makes the folder unless it was made before.
    pub(crate) fn make(&self) -> io::Result<()> {
        if self.made.get().is_none() {
            std::fs::DirBuilder::new().mode(0o700).create(&self.path)?;
            let _ = self.made.set(());
        }
        Ok(())
    }

    /// An error once it holds more than its quota. Looks on disk at most four times a second.
    pub(crate) fn within_quota(&self) -> Result<(), Interrupt> {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let over = match *measured {
            Some((then, over)) if then.elapsed() < MEASURED_EVERY => over,
            _ => {
                let over = self.made.get().is_some() && self.holds_more_than(self.quota);
                *measured = Some((Instant::now(), over));
                over
            }
        };
        if over {
            Err(Interrupt::Scratch { quota: self.quota })
        } else {
            Ok(())
        }
    }

    fn holds_more_than(&self, quota: u64) -> bool {
        let mut sum = 0;
        let mut folders = vec![PathBuf::from(&self.path)];
        while let Some(folder) = folders.pop() {
            // What cannot be listed, or is gone by now, takes up nothing that could be counted.
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                sum += LEAST_ENTRY.max(metadata.blocks() * 512);
                if sum > quota {
                    return true;
                }
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        false
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.made.get().is_some()
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(folder = self.path, %error, "a scratch folder is left behind");
        }
    }
}
