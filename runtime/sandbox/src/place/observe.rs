//! What stands at a place.

use std::io::{self, Read};
use std::sync::Arc;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};

use super::Place;

/// What a place holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    Missing,
    File(Status),
    Directory(Status),
    Symlink(Status, String),
    /// A device, socket or named pipe.
    Other(Status),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// Bytes.
    pub(crate) size: u64,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Nanoseconds since 1970-01-01 UTC.
    pub(crate) modified: i64,
    /// Names of this file: over 1 when it is hard-linked.
    pub(crate) names: u64,
}

impl Observed {
    pub(crate) fn status(&self) -> Option<&Status> {
        match self {
            Self::Missing => None,
            Self::File(status)
            | Self::Directory(status)
            | Self::Symlink(status, _)
            | Self::Other(status) => Some(status),
        }
    }

    /// The same of another account and group.
    pub(crate) fn owned_by(mut self, (uid, gid): (u32, u32)) -> Self {
        if let Self::File(status)
        | Self::Directory(status)
        | Self::Symlink(status, _)
        | Self::Other(status) = &mut self
        {
            (status.uid, status.gid) = (uid, gid);
        }
        self
    }

    /// The kind in words, for messages.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::File(_) => "a file",
            Self::Directory(_) => "a folder",
            Self::Symlink(..) => "a symlink",
            Self::Other(_) => "a device, socket or pipe",
        }
    }
}

/// Looks at a place without following a link in it.
pub(crate) fn look(place: &Place) -> io::Result<Observed> {
    look_at(&place.folder, &place.name)
}

/// Looks at a name in a held folder.
pub(crate) fn look_at(folder: &Dir, name: &str) -> io::Result<Observed> {
    let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOENT) => return Ok(Observed::Missing),
        Err(error) => return Err(error.into()),
    };
    let status = status(&stat);
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Observed::File(status),
        FileType::Directory => Observed::Directory(status),
        FileType::Symlink => {
            let target = readlinkat(folder, name, Vec::new())?;
            Observed::Symlink(status, target.to_string_lossy().into_owned())
        }
        _ => Observed::Other(status),
    })
}

fn status(stat: &Stat) -> Status {
    Status {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        modified: stat
            .st_mtime
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
        names: stat.st_nlink,
    }
}

/// A regular file that is held open.
pub(crate) type Held = std::fs::File;

/// Opens a regular file for reading. Never waits on a pipe and never follows a link.
pub(crate) fn open_file(place: &Place) -> io::Result<Held> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&place.folder, place.name.as_str(), flags, Mode::empty())?;
    match FileType::from_raw_mode(fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file.into()),
        FileType::Directory => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::other(
            "it is a device, socket or pipe; only regular files are read",
        )),
    }
}

/// The whole content, or none when it is longer than `limit` bytes. Sizes of files in /proc are not
/// told, so it is read up to the limit whatever the size says.
pub(crate) fn read(place: &Place, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = open_file(place)?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size > limit {
        return Ok(None);
    }
    let mut content = Vec::with_capacity(usize::try_from(size.saturating_add(1)).unwrap_or(0));
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)?;
    Ok((content.len() as u64 <= limit).then_some(content))
}

/// Names in a folder, sorted. A name that is not UTF-8 is an error that spells it out.
pub(crate) fn names(place: &Place) -> io::Result<Vec<String>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(&place.folder, place.name.as_str(), flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::new(folder)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Ok("." | "..") => {}
            Ok(name) => names.push(name.to_owned()),
            Err(_) => {
                return Err(io::Error::other(format!(
                    "the name {:?} is not UTF-8; rename it",
                    entry.file_name()
                )));
            }
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The folder at a place, held.
pub(crate) fn enter(place: &Place) -> io::Result<Arc<Dir>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = openat(&place.folder, place.name.as_str(), flags, Mode::empty())?;
    Ok(Arc::new(Dir::from_std_file(handle.into())))
}

/// Whether anything stands at a path of the kernel's own, such as an entry of /proc.
pub(crate) fn exists(path: &str) -> bool {
    rustix::fs::lstat(path).is_ok()
}
