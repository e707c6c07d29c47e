//! Where this process makes its steps' folders, apart from those of other processes. What a process that is
//! gone has left behind is removed by the next.

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};

use crate::clearing;

/// A folder that this process holds. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Ground {
    path: String,
    /// Locked for as long as the process lives, and so the sign that it does.
    _lock: File,
}

impl Ground {
    /// Takes a folder of its own beneath `folder`, and clears away what the dead have left there.
    pub(crate) fn take(folder: &Path) -> io::Result<Self> {
        make(folder, true)?;
        let folder = folder.canonicalize()?;
        // Between making a folder and locking it, it looks as if nobody had it.
        let everybody = File::open(&folder)?;
        flock(&everybody, FlockOperation::LockExclusive)?;
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let own = folder.join(format!("process-{:032x}", u128::from_le_bytes(random)));
        make(&own, false)?;
        let lock = File::open(&own)?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let stale = stale(&folder);
        drop(everybody);
        if !stale.is_empty() {
            // It may be a lot, and nobody waits for it.
            let cleared = std::thread::Builder::new()
                .name("clearing".into())
                .spawn(move || clear(stale));
            if let Err(error) = cleared {
                tracing::warn!(%error, "scratch folders of ended processes are left for later");
            }
        }
        let path = own.into_os_string().into_string().map_err(|path| {
            io::Error::other(format!(
                "the data folder's path {} is not UTF-8",
                path.display()
            ))
        })?;
        Ok(Self { path, _lock: lock })
    }

    /// Absolute and free of links.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // A step that still ends removes its own folder; the next process removes this one.
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Makes a folder that others may pass through but not look at: programs of other accounts are given theirs
/// beneath it.
fn make(folder: &Path, recursive: bool) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    if recursive && let Some(above) = folder.parent() {
        builder.recursive(true).mode(0o700).create(above)?;
    }
    builder.recursive(recursive).mode(0o711).create(folder)
}

/// The folders beneath that nobody holds, each with the lock that keeps others from clearing it too.
fn stale(folder: &Path) -> Vec<(PathBuf, File)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let held = openat(rustix::fs::CWD, entry.path(), flags, Mode::empty()).ok()?;
            flock(&held, FlockOperation::NonBlockingLockExclusive).ok()?;
            Some((entry.path(), held.into()))
        })
        .collect()
}

fn clear(stale: Vec<(PathBuf, File)>) {
    for (path, _lock) in stale {
        let removed = match path.to_str() {
            Some(path) => clearing::remove(path),
            None => continue,
        };
        if let Err(error) = removed {
            tracing::warn!(folder = %path.display(), %error, "an old scratch folder is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_goes_and_what_the_living_have_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("data/scratch");
        let living = Ground::take(&place).unwrap();
        std::fs::create_dir(format!("{}/step-1", living.path())).unwrap();
        let dead = place.join("process-of-yesterday");
        std::fs::create_dir_all(dead.join("step-2/deep")).unwrap();
        std::fs::write(dead.join("step-2/deep/file"), "left").unwrap();
        let next = Ground::take(&place).unwrap();
        for _ in 0..500 {
            if !dead.exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(!dead.exists());
        assert!(Path::new(&format!("{}/step-1", living.path())).exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!Path::new(&path).exists());
    }
}
