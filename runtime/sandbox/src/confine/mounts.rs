//! Mounts of the program's own, read-only but for what it may write.
//!
//! Landlock does not cover changes of mode, owner, times and attributes, and root may make them everywhere. On a
//! read-only mount the kernel refuses them, and nothing else that Landlock would have allowed: devices, pipes and
//! sockets can still be written.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount, open_tree,
};

use super::descendants::open_processes;
use super::{kernel, spec::Confinement};
use crate::descent::open_place;

/// Whether metadata outside the writable paths is out of reach.
pub(super) enum Protection {
    ReadOnly,
    None,
}

/// Protects the mounts of this process, which must be its own and not the machine's.
pub(super) fn protect(confinement: &Confinement) -> Result<Protection, String> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    if mount_change("/", private).is_err() {
        return Ok(Protection::None);
    }
    let writable = choose_writable(confinement);
    if writable.iter().any(|path| path == Path::new("/")) {
        // Metadata is granted everywhere.
        return Ok(Protection::ReadOnly);
    }
    let mut trees = Vec::new();
    for path in writable {
        if let Ok(tree) = copy_tree(&path) {
            trees.push((path, tree));
        }
    }
    show_own_processes();
    if kernel::set_mounts_read_only(CWD, c"/").is_err() {
        return Ok(Protection::None);
    }
    for (path, tree) in trees {
        put_back(&path, &tree)
            .map_err(|error| format!("make {} writable: {error}", path.display()))?;
    }
    Ok(Protection::ReadOnly)
}

/// Files and trees that may be written, without those that lie in another. Devices need no writable mount, and must
/// not have one: root could change their mode.
fn choose_writable(confinement: &Confinement) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = confinement
        .write
        .iter()
        .chain(&confinement.delete)
        .cloned()
        .collect();
    // In the order of their components a folder comes directly before what lies in it.
    paths.sort();
    paths.dedup_by(|later, earlier| later.starts_with(earlier));
    paths.retain(|path| {
        fs::symlink_metadata(path).is_ok_and(|metadata| {
            let kind = metadata.file_type();
            !kind.is_char_device() && !kind.is_block_device()
        })
    });
    paths
}

fn copy_tree(path: &Path) -> rustix::io::Result<OwnedFd> {
    // AT_RECURSIVE takes along what is mounted beneath.
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(open_place(path)?, "", flags)
}

fn put_back(path: &Path, tree: &OwnedFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", open_place(path)?, "", flags)
}

/// Lets `/proc` show the program's own processes only. Where that may not be, the ids there are those of the machine,
/// and Landlock alone keeps the program from reading them.
fn show_own_processes() {
    let Ok(processes) = open_processes() else {
        return;
    };
    if let Ok(place) = open_place(Path::new("/proc")) {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        let _ = move_mount(&processes, "", place, "", flags);
    }
}
