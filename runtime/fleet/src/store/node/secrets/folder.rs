//! The folder that the files lie in: writing one whole or not at all, by one writer at a time.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::error::Error;

/// How long a writer waits for another.
const PATIENCE: Duration = Duration::from_secs(10);

/// Held while files are changed.
pub(super) struct Lock(#[expect(dead_code, reason = "held, not used")] File);

/// Waits until nobody else changes files of the folder, which is made if it is missing.
pub(super) fn lock(folder: &Path) -> Result<Lock, Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(Error::system("make the folder", folder))?;
    let path = folder.join("secrets.lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(Error::system("open", &path))?;
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path }),
            Err(TryLockError::Error(error)) => return Err(Error::system("lock", path)(error)),
        }
    }
}

/// A file's content of at most `limit` bytes; none if it is not there.
pub(super) fn read(
    path: &Path,
    limit: u64,
) -> io::Result<Option<(Zeroizing<Vec<u8>>, fs::Metadata)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let mut content = Zeroizing::new(Vec::new());
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(io::Error::other(format!("it is longer than {limit} bytes")));
    }
    Ok(Some((content, metadata)))
}

/// Puts a file in place whole, on disk before it is seen. Whoever calls holds the lock.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    let fresh = path.with_added_extension("new");
    let written = || -> io::Result<()> {
        // One that was left behind by a crash is nobody's.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        File::open(folder)?.sync_all()
    };
    written().map_err(Error::system("write", path))
}
