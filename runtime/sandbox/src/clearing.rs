//! Measuring and removing folders whose content is somebody else's: with folders that may not be read, and
//! deeper than any path is long.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, chmod, fstat, openat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;

use crate::descent::reach;

/// What an entry takes of a quota at least: names and empty files fill a disk as well.
const LEAST_ENTRY: u64 = 4 << 10;

/// Most bytes of paths to folders that are still to be looked into.
const MOST_AHEAD: usize = 16 << 20;
/// Most entries of a folder that are held at a time.
const AT_ONCE: usize = 1024;

/// Whether a folder holds more than so many bytes. What is gone by the time it is looked at takes up nothing;
/// more than can be looked at, or deeper than a path reaches, is too much whatever it holds.
pub(crate) fn holds_more_than(folder: &str, quota: u64) -> bool {
    let Ok(top) = openat(CWD, folder, place_only(), Mode::empty()) else {
        return false;
    };
    let mut sum = 0;
    let mut ahead = vec![PathBuf::from(".")];
    let mut length = 0;
    while let Some(folder) = ahead.pop() {
        length -= folder.as_os_str().len().min(length);
        let looked = listed(&top, &folder, &mut |name, status| {
            let taken = u64::try_from(status.st_blocks).unwrap_or_default() * 512;
            sum += LEAST_ENTRY.max(taken);
            if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
                let path = folder.join(OsStr::from_bytes(name.to_bytes()));
                length += path.as_os_str().len();
                ahead.push(path);
            }
            sum <= quota && length <= MOST_AHEAD
        });
        match looked {
            Ok(true) | Err(Errno::NOENT | Errno::ACCESS | Errno::NOTDIR | Errno::LOOP) => {}
            Ok(false) | Err(_) => return true,
        }
    }
    false
}

/// Gives each entry of a folder beneath a held one, until `take` says that it is enough. Nothing on the way is
/// followed, so that nothing else is measured in its place.
fn listed(
    top: &OwnedFd,
    folder: &Path,
    take: &mut dyn FnMut(&CStr, &Stat) -> bool,
) -> rustix::io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match reach(top, folder, flags).and_then(|opened| entries(&opened, take)) {
        Err(Errno::ACCESS) => {}
        looked => return looked,
    }
    // Its owner took away the right to list or to search it, and may have it back as it was.
    let held = reach(top, folder, place_only())?;
    let mode = fstat(&held)?.st_mode;
    open_up(&held, mode)?;
    let opened = openat(CWD, by_descriptor(&held), flags, Mode::empty());
    let looked = opened.and_then(|opened| entries(&opened, take));
    let _ = chmod(by_descriptor(&held), Mode::from_raw_mode(mode & 0o7777));
    looked
}

fn entries(
    folder: &OwnedFd,
    take: &mut dyn FnMut(&CStr, &Stat) -> bool,
) -> rustix::io::Result<bool> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) if !take(name, &status) => return Ok(false),
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Opens a folder for its place only, and nothing that a link in its place leads to.
fn place_only() -> OFlags {
    OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// The path that leads to what is held, whatever stands at its name by now.
fn by_descriptor(held: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", held.as_fd().as_raw_fd()))
}

fn open_up(held: &OwnedFd, mode: u32) -> rustix::io::Result<()> {
    chmod(
        by_descriptor(held),
        Mode::from_raw_mode(mode & 0o7777 | 0o700),
    )
}

/// Removes a folder with all in it. Nothing runs any more that could change it meanwhile.
pub(crate) fn remove(folder: &str) -> io::Result<()> {
    let top = openat(CWD, folder, place_only(), Mode::empty())?;
    let top = readable(top)?;
    let mut moved = 0_u64;
    loop {
        let folders = empty_out(&top)?;
        if folders.is_empty() {
            break;
        }
        for name in folders {
            let inner = openat(&top, &name, place_only(), Mode::empty())?;
            let inner = readable(inner)?;
            // What lies in it comes up beside it: so no depth is too much, whether of names or of descriptors.
            while let deepest = empty_out(&inner)?
                && !deepest.is_empty()
            {
                for deeper in deepest {
                    // To be moved, a folder must be writable itself.
                    let held = openat(&inner, &deeper, place_only(), Mode::empty())?;
                    open_up(&held, fstat(&held)?.st_mode)?;
                    loop {
                        moved += 1;
                        match renameat(&inner, &deeper, &top, format!("{moved}")) {
                            // A file or folder of the step's own has this name.
                            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                            done => break done?,
                        }
                    }
                }
            }
            unlinkat(&top, &name, AtFlags::REMOVEDIR)?;
        }
    }
    std::fs::remove_dir(folder)
}

/// The same folder, open for reading, whatever its mode was.
fn readable(held: OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open_up(&held, fstat(&held)?.st_mode)?;
    Ok(openat(CWD, by_descriptor(&held), flags, Mode::empty())?)
}

/// Removes all of a folder but the folders in it; gives the names of some of them, and none when there are
/// none.
fn empty_out(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    loop {
        let mut folders = Vec::new();
        let mut others = Vec::new();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let status = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(status.st_mode)
                }
                known => known,
            };
            if kind != FileType::Directory {
                others.push(name.to_owned());
            } else if folders.len() < AT_ONCE {
                folders.push(name.to_owned());
            }
            if others.len() == AT_ONCE {
                break;
            }
        }
        let more = others.len() == AT_ONCE;
        for name in others {
            unlinkat(folder, &name, AtFlags::empty())?;
        }
        if !more {
            return Ok(folders);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make folders to clear")]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn what_may_not_be_read_is_counted_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        let closed = top.join("a/closed");
        std::fs::create_dir_all(closed.join("deeper")).unwrap();
        std::fs::write(closed.join("file"), vec![1; 64 << 10]).unwrap();
        std::fs::write(top.join("1"), "a name that removing might want").unwrap();
        std::os::unix::fs::symlink("/etc", top.join("link")).unwrap();
        for (place, mode) in [(&closed, 0o300), (&top.join("a"), 0o300)] {
            std::fs::set_permissions(place, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = top.to_str().unwrap();
        assert!(holds_more_than(path, 64 << 10));
        assert!(!holds_more_than(path, 1 << 20));
        let mode = std::fs::metadata(top.join("a")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o300, "measuring leaves it as it was");
        remove(path).unwrap();
        assert!(!top.exists() && Path::new("/etc/passwd").exists());
    }

    #[test]
    fn no_depth_is_too_much_to_remove() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        std::fs::create_dir(&top).unwrap();
        let mut held: OwnedFd = std::fs::File::open(&top).unwrap().into();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&held, "deep", Mode::from_raw_mode(0o700)).unwrap();
            held = openat(&held, "deep", place_only(), Mode::empty()).unwrap();
        }
        let path = top.to_str().unwrap();
        assert!(
            holds_more_than(path, u64::MAX),
            "deeper than can be measured"
        );
        remove(path).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn a_folder_of_many_entries_is_measured_and_removed_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        for number in 0..3000 {
            let inner = top.join(format!("a/folder-{number}"));
            std::fs::create_dir_all(&inner).unwrap();
            std::fs::write(top.join(format!("a/file-{number}")), "").unwrap();
        }
        std::os::unix::fs::symlink("/usr", top.join("a/link")).unwrap();
        let path = top.to_str().unwrap();
        assert!(holds_more_than(path, 6000 * LEAST_ENTRY));
        // The folder of so many names takes more than the least.
        assert!(!holds_more_than(path, 7000 * LEAST_ENTRY));
        remove(path).unwrap();
        assert!(!top.exists());
    }
}
