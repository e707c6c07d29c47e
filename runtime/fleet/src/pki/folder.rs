//! The files that keys lie in: readable by their owner alone, and written whole or not at all.

#![expect(
    clippy::disallowed_methods,
    reason = "the one room where files of keys and credentials are read and written; see clippy.toml"
)]

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, OFlags, RenameFlags};
use zeroize::Zeroizing;

use super::error::Error;
use super::moment::random;

/// More than three certificates and a key ever are.
const LONGEST: u64 = 64 * 1024;

/// Makes a folder for nobody but its owner, or refuses one that is there and open to others.
pub(super) fn close(folder: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(Error::system("make the folder", folder))?;
    let metadata = fs::metadata(folder).map_err(Error::system("look at", folder))?;
    guard(folder, &metadata)
}

/// A file's text; none if it is not there.
pub fn read(path: &Path) -> Result<Option<Zeroizing<String>>, Error> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = File::options()
        .read(true)
        // Opening a pipe must not wait for whoever writes into it.
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::system("open", path)(error)),
    };
    let metadata = file.metadata().map_err(Error::system("look at", path))?;
    let damaged = |why: String| Error::Damaged {
        path: path.to_owned(),
        what: "a file of keys",
        why,
    };
    if !metadata.is_file() {
        return Err(damaged("it is no regular file".to_owned()));
    }
    guard(path, &metadata)?;
    let mut content = Zeroizing::new(Vec::with_capacity(8192));
    file.take(LONGEST + 1)
        .read_to_end(&mut content)
        .map_err(Error::system("read", path))?;
    if content.len() as u64 > LONGEST {
        return Err(damaged(format!("it is longer than {LONGEST} bytes")));
    }
    let text = str::from_utf8(&content).map_err(|_| damaged("it is no text".to_owned()))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// Refuses what others can get at. What the service manager hands over belongs to root, and shows the access list of
/// a unit's account as the group's bits.
fn guard(path: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    let own = rustix::process::geteuid().as_raw();
    if owner != 0 && owner != own {
        return Err(Error::Foreign {
            path: path.to_owned(),
            owner,
        });
    }
    let others = if owner == 0 && own != 0 { 0o027 } else { 0o077 };
    if mode & others != 0 {
        return Err(Error::Exposed {
            path: path.to_owned(),
            mode,
            folder: metadata.is_dir(),
        });
    }
    Ok(())
}

/// What happens to a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    /// It is replaced.
    Replace,
    /// It stays.
    Keep,
}

/// Puts a file in place, whole and on disk before it is seen. Answers whether it was put there.
pub(super) fn write(path: &Path, text: &str, there: There) -> Result<bool, Error> {
    // Several may write at once: each has a file of its own until one is put in place.
    let suffix = u64::from_ne_bytes(random()?);
    let fresh = path.with_added_extension(format!("{suffix:016x}.new"));
    let written = || -> io::Result<bool> {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        let flags = match there {
            There::Replace => RenameFlags::empty(),
            There::Keep => RenameFlags::NOREPLACE,
        };
        match rustix::fs::renameat_with(CWD, &fresh, CWD, path, flags) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) if there == There::Keep => {
                fs::remove_file(&fresh)?;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(true)
    };
    written().map_err(|error| {
        // What could not be finished is nobody's; the error that counts is the first.
        let _ = fs::remove_file(&fresh);
        Error::system("write", path)(error)
    })
}
