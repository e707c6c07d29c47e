//! The few effects on files, each on one name in a held folder. A link in that name is never
//! followed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, fsync, mkdirat, openat,
    renameat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::Place;

/// How content came to stand at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    /// As a new file that replaced the name in one step.
    Atomically,
    /// Over the old content, since the name cannot be replaced: it is mounted.
    InPlace,
}

/// Owner and permissions for new content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ownership {
    pub(crate) mode: u32,
    /// None is the runner's own.
    pub(crate) owner: Option<(u32, u32)>,
}

/// Puts a new file with `content` in place of whatever file or link bears the name. A reader sees
/// the old content or the new, never a part; when anything fails the old one stays.
pub(crate) fn replace(place: &Place, content: &[u8], to: Ownership) -> io::Result<Landed> {
    let mut source = content;
    stage(place, &mut source, to, true)
}

/// As [`replace`], but fails when the name exists.
pub(crate) fn create(place: &Place, content: &[u8], to: Ownership) -> io::Result<Landed> {
    let mut source = content;
    stage(place, &mut source, to, false)
}

/// As [`replace`], from a reader.
pub(crate) fn replace_from(
    place: &Place,
    source: &mut dyn Read,
    to: Ownership,
) -> io::Result<Landed> {
    stage(place, source, to, true)
}

/// As [`create`], from a reader.
pub(crate) fn create_from(
    place: &Place,
    source: &mut dyn Read,
    to: Ownership,
) -> io::Result<Landed> {
    stage(place, source, to, false)
}

fn stage(
    place: &Place,
    source: &mut dyn Read,
    to: Ownership,
    replacing: bool,
) -> io::Result<Landed> {
    let (temporary, mut file) = temporary(place)?;
    let staged = fill(&mut file, source, to).and_then(|()| {
        if replacing {
            renameat(&place.folder, &temporary, &place.folder, &place.name)
        } else {
            rustix::fs::renameat_with(
                &place.folder,
                &temporary,
                &place.folder,
                &place.name,
                rustix::fs::RenameFlags::NOREPLACE,
            )
        }
        .map_err(io::Error::from)
    });
    match staged {
        Ok(()) => {
            sync_folder(place);
            Ok(Landed::Atomically)
        }
        Err(error) => {
            let busy = error.raw_os_error() == Some(Errno::BUSY.raw_os_error());
            let landed = if busy {
                overwrite(place, &file)
            } else {
                Err(error)
            };
            // What matters has happened or failed by now; a leftover is only untidy.
            let _ = unlinkat(&place.folder, &temporary, AtFlags::empty());
            landed
        }
    }
}

/// A new, empty file beside the place that only this account can read.
fn temporary(place: &Place) -> io::Result<(String, File)> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let name = format!(".sloth-{:016x}", u64::from_le_bytes(random));
        match openat(
            &place.folder,
            name.as_str(),
            flags,
            Mode::from_raw_mode(0o600),
        ) {
            Ok(file) => return Ok((name, file.into())),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn fill(file: &mut File, source: &mut dyn Read, to: Ownership) -> io::Result<()> {
    io::copy(source, file)?;
    if let Some((uid, gid)) = to.owner {
        let now = fstat(file.as_fd())?;
        if (now.st_uid, now.st_gid) != (uid, gid) {
            fchown(
                file.as_fd(),
                Some(Uid::from_raw(uid)),
                Some(Gid::from_raw(gid)),
            )?;
        }
    }
    fchmod(file.as_fd(), Mode::from_raw_mode(to.mode))?;
    fsync(file.as_fd())?;
    Ok(())
}

/// Writes over the file in place, which is not atomic: only where the name cannot be replaced.
fn overwrite(place: &Place, content: &File) -> io::Result<Landed> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let target = openat(&place.folder, place.name.as_str(), flags, Mode::empty())?;
    only_regular(target.as_fd())?;
    let mut target = File::from(target);
    let mut content = content.try_clone()?;
    io::Seek::rewind(&mut content)?;
    target.set_len(0)?;
    io::copy(&mut content, &mut target)?;
    target.sync_all()?;
    Ok(Landed::InPlace)
}

/// Adds to the end of an existing regular file that has no other name.
pub(crate) fn append(place: &Place, content: &[u8]) -> io::Result<()> {
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&place.folder, place.name.as_str(), flags, Mode::empty())?;
    only_regular(file.as_fd())?;
    let mut file = File::from(file);
    let before = file.metadata()?.len();
    let written = file.write_all(content).and_then(|()| file.sync_data());
    if written.is_err() {
        // A full disk must not leave half a line.
        let _ = file.set_len(before);
    }
    written
}

fn only_regular(file: impl AsFd) -> io::Result<()> {
    let stat = fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is not a regular file"));
    }
    only_one_name(stat.st_nlink)
}

/// A file with several names may be reached where nothing is granted.
fn only_one_name(names: u64) -> io::Result<()> {
    if names > 1 {
        return Err(io::Error::other(format!(
            "the file has {names} names (hard links) and would change under all of them"
        )));
    }
    Ok(())
}

pub(crate) fn make_folder(place: &Place, mode: u32) -> io::Result<()> {
    mkdirat(
        &place.folder,
        place.name.as_str(),
        Mode::from_raw_mode(mode),
    )?;
    // The account's umask must not decide.
    set_mode(place, mode)
}

/// Makes a symlink, in one step in place of another.
pub(crate) fn link(place: &Place, target: &str, replacing: bool) -> io::Result<()> {
    if !replacing {
        symlinkat(target, &place.folder, place.name.as_str())?;
        sync_folder(place);
        return Ok(());
    }
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let name = format!(".sloth-{:016x}", u64::from_le_bytes(random));
    symlinkat(target, &place.folder, name.as_str())?;
    let renamed = renameat(&place.folder, &name, &place.folder, &place.name);
    if renamed.is_err() {
        let _ = unlinkat(&place.folder, &name, AtFlags::empty());
    }
    renamed?;
    sync_folder(place);
    Ok(())
}

pub(crate) fn set_mode(place: &Place, mode: u32) -> io::Result<()> {
    let handle = held(place)?;
    // A descriptor opened only as a path takes no fchmod; its own entry in /proc leads to exactly
    // the file held.
    rustix::fs::chmod(own_entry(&handle), Mode::from_raw_mode(mode))?;
    Ok(())
}

pub(crate) fn set_owner(place: &Place, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let handle = held(place)?;
    rustix::fs::chown(
        own_entry(&handle),
        uid.map(Uid::from_raw),
        gid.map(Gid::from_raw),
    )?;
    Ok(())
}

fn held(place: &Place) -> io::Result<rustix::fd::OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = openat(&place.folder, place.name.as_str(), flags, Mode::empty())?;
    let stat = fstat(&handle)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => Err(Errno::LOOP.into()),
        FileType::Directory => Ok(handle),
        _ => only_one_name(stat.st_nlink).map(|()| handle),
    }
}

fn own_entry(handle: &rustix::fd::OwnedFd) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

/// Removes a file, a link or, with `folder`, an empty folder.
pub(crate) fn remove(place: &Place, folder: bool) -> io::Result<()> {
    let flags = if folder {
        AtFlags::REMOVEDIR
    } else {
        AtFlags::empty()
    };
    unlinkat(&place.folder, place.name.as_str(), flags)?;
    sync_folder(place);
    Ok(())
}

/// Renames, replacing a file at the destination.
pub(crate) fn rename(source: &Place, destination: &Place) -> io::Result<()> {
    renameat(
        &source.folder,
        &source.name,
        &destination.folder,
        &destination.name,
    )?;
    sync_folder(destination);
    Ok(())
}

/// Makes a changed name durable. A folder that cannot be synced has still been changed.
fn sync_folder(place: &Place) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(folder) = openat(&place.folder, ".", flags, Mode::empty()) {
        let _ = fsync(&folder);
    }
}
