//! Measuring and removing folders whose content is somebody else's: with folders that may not be read, and
//! deeper than any path is long.

use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, chmod, fstat, openat, renameat, unlinkat,
};

/// What an entry takes of a quota at least: names and empty files fill a disk as well.
const LEAST_ENTRY: u64 = 4 << 10;

/// Whether a folder holds more than so many bytes. What is gone by the time it is looked at takes up nothing.
pub(crate) fn holds_more_than(folder: &str, quota: u64) -> bool {
    let mut sum = 0;
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for (path, metadata) in entries(&folder) {
            sum += LEAST_ENTRY.max(metadata.blocks() * 512);
            if sum > quota {
                return true;
            }
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    false
}

fn entries(folder: &Path) -> Vec<(PathBuf, Metadata)> {
    let list = |place: &Path| {
        let entries = std::fs::read_dir(place)?.flatten();
        let known = entries.filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((folder.join(entry.file_name()), metadata))
        });
        io::Result::Ok(known.collect())
    };
    match list(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        listed => return listed.unwrap_or_default(),
    }
    // Its owner took away the right to list it, and may have it back as it was.
    let opened = openat(CWD, folder, place_only(), Mode::empty())
        .and_then(|held| Ok((fstat(&held)?.st_mode, held)));
    let Ok((mode, held)) = opened else {
        return Vec::new();
    };
    if open_up(&held, mode).is_err() {
        return Vec::new();
    }
    let listed = list(&by_descriptor(&held));
    let _ = chmod(by_descriptor(&held), Mode::from_raw_mode(mode & 0o7777));
    listed.unwrap_or_default()
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
            for deeper in empty_out(&inner)? {
                // To be moved, a folder must be writable itself.
                let held = openat(&inner, &deeper, place_only(), Mode::empty())?;
                open_up(&held, fstat(&held)?.st_mode)?;
                loop {
                    moved += 1;
                    match renameat(&inner, &deeper, &top, format!("{moved}")) {
                        // A file or folder of the step's own has this name.
                        Err(
                            rustix::io::Errno::EXIST
                            | rustix::io::Errno::NOTEMPTY
                            | rustix::io::Errno::NOTDIR,
                        ) => {}
                        done => break done?,
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

/// Removes all of a folder but the folders in it; gives their names.
fn empty_out(folder: &OwnedFd) -> io::Result<Vec<std::ffi::CString>> {
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
                let status = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(status.st_mode)
            }
            known => known,
        };
        if kind == FileType::Directory {
            folders.push(name.to_owned());
        } else {
            others.push(name.to_owned());
        }
    }
    for name in others {
        unlinkat(folder, &name, AtFlags::empty())?;
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

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
        remove(top.to_str().unwrap()).unwrap();
        assert!(!top.exists());
    }
}
