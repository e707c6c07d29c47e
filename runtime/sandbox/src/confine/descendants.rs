//! Everything that a supervisor started: counting it and signalling it.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::fd::OwnedFd;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

/// The processes below the supervisor.
pub(super) enum Descendants {
    /// The supervisor is the init of their namespace. The descriptor is a view of `/proc` that holds nothing else; it
    /// is missing where another view of `/proc` may not be made.
    Namespace(Option<OwnedFd>),
    /// The supervisor is the reaper of their orphans: whatever its session or group, each has a chain of parents that
    /// leads here, and `/proc` shows it. (Its own list of children is not there on every kernel.)
    Tree,
}

/// One line of the process table, in the numbers that `/proc` shows.
struct Entry {
    id: i32,
    parent: i32,
    group: i32,
}

impl Descendants {
    pub(super) fn in_this_namespace(processes: u32) -> Self {
        limit_ids(processes);
        Self::Namespace(open_processes().ok())
    }

    pub(super) fn below_this_process() -> Self {
        Self::Tree
    }

    /// Whether this process and they have namespaces of their own.
    pub(super) fn have_namespaces(&self) -> bool {
        matches!(self, Self::Namespace(_))
    }

    /// How many there are. Threads do not count.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Namespace(Some(processes)) => {
                count_entries(processes).unwrap_or_else(|_| find_below_this_process().len())
            }
            Self::Namespace(None) | Self::Tree => find_below_this_process().len(),
        }
    }

    /// Sends a signal to each of them.
    pub(super) fn signal(&self, signal: Signal) {
        match self {
            // To an init, -1 means everything in its namespace but itself, in one step that no fork can slip past.
            Self::Namespace(_) => {
                let _ = kill(Pid::from_raw(-1), signal);
            }
            Self::Tree => {
                let found = find_below_this_process();
                // A group is signalled in one step. None of theirs holds anything else: their sessions began here.
                let own = getpgrp().as_raw();
                let groups: BTreeSet<i32> = found
                    .iter()
                    .map(|entry| entry.group)
                    .filter(|group| *group != own)
                    .collect();
                for group in groups.into_iter().filter(|group| *group > 1) {
                    let _ = killpg(Pid::from_raw(group), signal);
                }
                for entry in found.iter().filter(|entry| entry.group == own) {
                    let _ = kill(Pid::from_raw(entry.id), signal);
                }
            }
        }
    }
}

/// Limits how many ids there can be, for processes and threads together, well above what is granted: until too many
/// processes are counted and ended, their growth has an end too.
///
/// Since Linux 6.14 this is a property of the namespace; before, it was one of the machine, and must be left alone.
fn limit_ids(processes: u32) {
    let release = rustix::system::uname();
    let mut numbers = release
        .release()
        .to_str()
        .unwrap_or_default()
        .split('.')
        .map(str::parse::<u32>);
    if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next())
        && (major, minor) >= (6, 14)
    {
        let most = processes
            .saturating_mul(64)
            .saturating_add(1024)
            .min(1 << 22);
        let _ = fs::write("/proc/sys/kernel/pid_max", most.to_string());
    }
}

/// A `/proc` of this process's namespace, mounted nowhere.
pub(super) fn open_processes() -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// The numeric entries, less the supervisor's own.
fn count_entries(processes: &OwnedFd) -> rustix::io::Result<usize> {
    let mut count = 0_usize;
    // The descriptor is one for a place only, which must be opened to be read.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(processes, ".", flags, Mode::empty())?;
    for entry in rustix::fs::Dir::new(folder)? {
        if entry?
            .file_name()
            .to_bytes()
            .first()
            .is_some_and(u8::is_ascii_digit)
        {
            count += 1;
        }
    }
    Ok(count.saturating_sub(1))
}

/// Reads the process table and follows the chains of parents down from this process.
fn find_below_this_process() -> Vec<Entry> {
    // In the numbers of `/proc`, which may be those of an outer namespace.
    let own = fs::read_link("/proc/self")
        .ok()
        .and_then(|own| own.to_str()?.parse::<i32>().ok());
    let (Some(own), Ok(table)) = (own, fs::read_dir("/proc")) else {
        return Vec::new();
    };
    let mut children: HashMap<i32, Vec<Entry>> = HashMap::new();
    for entry in table.flatten() {
        let is_process = entry
            .file_name()
            .as_encoded_bytes()
            .first()
            .is_some_and(u8::is_ascii_digit);
        // A process that ends meanwhile has no line any more.
        let line = is_process
            .then(|| fs::read(entry.path().join("stat")).ok())
            .flatten();
        if let Some(entry) = line.and_then(|line| parse(&String::from_utf8_lossy(&line))) {
            children.entry(entry.parent).or_default().push(entry);
        }
    }
    let mut found = children.remove(&own).unwrap_or_default();
    let mut next = 0;
    while let Some(id) = found.get(next).map(|entry| entry.id) {
        found.extend(children.remove(&id).unwrap_or_default());
        next += 1;
    }
    found
}

/// Reads a line of `/proc/<id>/stat`, see `proc_pid_stat(5)`. The name in parentheses may itself hold parentheses and
/// spaces, so what follows it is found from the end.
fn parse(line: &str) -> Option<Entry> {
    let (id, _) = line.split_once(' ')?;
    let (_, rest) = line.rsplit_once(") ")?;
    let mut words = rest.split(' ').skip(1).map(str::parse);
    Some(Entry {
        id: id.parse().ok()?,
        parent: words.next()?.ok()?,
        group: words.next()?.ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_hide_the_parent() {
        let entry = parse("4242 (a) S 1 1) R 77 88 88 0 -1 4194304 107 0 0 0").unwrap();
        assert_eq!((entry.id, entry.parent, entry.group), (4242, 77, 88));
    }
}
