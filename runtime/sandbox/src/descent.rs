//! The way down to a place, with no symbolic link on it.
//!
//! The kernel has a call for that, which old kernels lack, and which a unit's `RestrictSUIDSGID=` hides: a filter cannot
//! look into its arguments, which lie in memory. Without it the way is gone one name at a time, each looked up in the
//! folder that is held, so that what is renamed meanwhile leads nowhere else.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;

/// Longest path that the kernel takes, with the zero at its end.
const LONGEST_PATH: usize = 4096;

/// Opens an absolute path without following any symbolic link, for its place only.
///
/// # Errors
/// `LOOP` for a link, and `XDEV` for a path that is not absolute or leads upwards: what is resolved does neither.
pub(crate) fn open_place(path: &Path) -> rustix::io::Result<OwnedFd> {
    if !path.is_absolute() || !leads_down(path) {
        return Err(Errno::XDEV);
    }
    let ways = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // With NOFOLLOW a link at the end would be opened itself.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ways) {
        Err(Errno::NOSYS) => {
            let root = openat(CWD, "/", place_only(), Mode::empty())?;
            descend(&root, path, place_only())
        }
        opened => opened,
    }
}

/// Opens a folder beneath a held one without following any symbolic link, whatever becomes of its path meanwhile.
///
/// # Errors
/// `XDEV` for what is not beneath; `LOOP` for a link, or `NOTDIR` for one at the end.
pub(crate) fn reach(top: &OwnedFd, folder: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let ways = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(top, folder, flags, Mode::empty(), ways) {
        Err(Errno::NOSYS) if folder.is_absolute() || !leads_down(folder) => Err(Errno::XDEV),
        Err(Errno::NOSYS) => descend(top, folder, flags),
        opened => opened,
    }
}

fn leads_down(path: &Path) -> bool {
    path.components()
        .all(|part| !matches!(part, Component::ParentDir))
}

/// Goes down from a held folder, one name at a time, and opens what is at the end with these flags.
fn descend(top: &OwnedFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    if path.as_os_str().as_bytes().len() >= LONGEST_PATH {
        return Err(Errno::NAMETOOLONG);
    }
    let mut names = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .peekable();
    let mut held: Option<OwnedFd> = None;
    while let Some(name) = names.next() {
        let flags = if names.peek().is_none() {
            flags | OFlags::NOFOLLOW
        } else {
            place_only()
        };
        let folder = held.as_ref().unwrap_or(top);
        let opened = openat(folder, name.as_os_str(), flags, Mode::empty())?;
        // Of a link this is the link itself; one of `/proc` that leads to what is open is a link as well.
        if FileType::from_raw_mode(fstat(&opened)?.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
        held = Some(opened);
    }
    match held {
        Some(held) => Ok(held),
        None => openat(top, ".", flags, Mode::empty()),
    }
}

fn place_only() -> OFlags {
    OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    fn root() -> OwnedFd {
        openat(CWD, "/", place_only(), Mode::empty()).unwrap()
    }

    /// Which file was opened, or why none was.
    fn told(opened: rustix::io::Result<OwnedFd>) -> rustix::io::Result<(u64, u64)> {
        let status = fstat(opened?)?;
        Ok((status.st_dev, status.st_ino))
    }

    #[test]
    fn both_ways_lead_to_the_same_place_and_refuse_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        symlink(&top, top.join("link")).unwrap();
        symlink("nowhere", top.join("dangling")).unwrap();
        let held = root();
        let magic = PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            held.as_raw_fd()
        ));
        for (path, refusal) in [
            (PathBuf::from("/"), None),
            (top.clone(), None),
            (PathBuf::from("/dev/null"), None),
            (top.join("missing"), Some(Errno::NOENT)),
            (top.join("link"), Some(Errno::LOOP)),
            (top.join("link/link"), Some(Errno::LOOP)),
            (top.join("dangling"), Some(Errno::LOOP)),
            (magic.clone(), Some(Errno::LOOP)),
            (magic.join("etc"), Some(Errno::LOOP)),
            (PathBuf::from("/dev/null/beneath"), Some(Errno::NOTDIR)),
            (top.join("long/".repeat(1000)), Some(Errno::NAMETOOLONG)),
        ] {
            let [one, other] = [open_place(&path), descend(&root(), &path, place_only())].map(told);
            assert_eq!(one, other, "{}", path.display());
            assert_eq!(one.err(), refusal, "{}", path.display());
        }
    }

    #[test]
    fn a_path_that_is_not_absolute_or_leads_upwards_is_no_place() {
        for path in ["etc", "/etc/../etc", "..", ""] {
            let opened = open_place(Path::new(path));
            assert_eq!(opened.err(), Some(Errno::XDEV), "{path}");
        }
    }

    #[test]
    fn both_ways_beneath_a_folder_lead_to_the_same_and_through_no_link() {
        let folder = tempfile::tempdir().unwrap();
        for inner in ["a", "a/b"] {
            let mode = Mode::from_raw_mode(0o700);
            rustix::fs::mkdirat(CWD, folder.path().join(inner), mode).unwrap();
        }
        symlink("/etc", folder.path().join("out")).unwrap();
        symlink("a", folder.path().join("in")).unwrap();
        let top = openat(CWD, folder.path(), place_only(), Mode::empty()).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        for (path, is_there) in [
            (".", true),
            ("./a/b", true),
            ("out", false),
            ("out/ssl", false),
            ("in/b", false),
            ("a/missing", false),
        ] {
            let path = Path::new(path);
            let [one, other] = [reach(&top, path, flags), descend(&top, path, flags)].map(told);
            assert_eq!(one.ok(), other.ok(), "{}", path.display());
            assert_eq!(one.is_ok(), is_there, "{}", path.display());
        }
    }
}
