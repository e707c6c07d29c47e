//! Check mode's memory: what would stand where, so that a later read sees what an earlier call
//! would have written. Shared by all steps of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Bytes;

use super::name::is_beneath;
use super::observe::{Observed, Status};

/// What a place would hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    Missing,
    File {
        content: Bytes,
        mode: u32,
    },
    /// A file that is longer than a step may read, and so is not remembered but for its length.
    Long {
        size: u64,
        mode: u32,
    },
    Directory {
        mode: u32,
    },
    Symlink {
        target: String,
    },
}

/// Planned things by resolved path.
#[derive(Debug, Default)]
pub(crate) struct Planned(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    things: BTreeMap<String, Thing>,
    /// What was removed, and with it all that stood beneath on the disk, whatever is made there again.
    emptied: BTreeSet<String>,
    /// Account and group of what is planned and would not be the runner's own, or would be given away.
    owners: BTreeMap<String, (u32, u32)>,
    /// Bytes of all contents, and of those that room was made for.
    remembered: usize,
}

/// Room for a content that is still to be read, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    planned: Arc<Planned>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.planned.memory().remembered -= self.bytes;
    }
}

/// Most bytes of content remembered in a run.
pub(crate) const MAX_REMEMBERED: usize = 256 << 20;
/// Most paths remembered in a run.
const MAX_PATHS: usize = 100_000;

impl Planned {
    /// False when that is more than can be remembered.
    pub(crate) fn set(&self, path: &str, thing: Thing) -> bool {
        let mut memory = self.memory();
        let Memory {
            things,
            emptied,
            owners,
            remembered,
        } = &mut *memory;
        if thing == Thing::Missing {
            owners.retain(|other, _| !is_beneath(other, path));
            things.retain(|other, before| {
                let stays = !is_beneath(other, path);
                if !stays {
                    *remembered -= before.size();
                }
                stays
            });
        }
        let known = things.get(path).map_or(0, Thing::size);
        let now = *remembered - known + thing.size();
        let room = things.len() < MAX_PATHS || things.contains_key(path);
        if now > MAX_REMEMBERED || !room {
            return false;
        }
        *remembered = now;
        if thing == Thing::Missing {
            emptied.insert(path.to_owned());
        }
        things.insert(path.to_owned(), thing);
        true
    }

    /// Remembers whose something would be. False when that is more than can be remembered.
    pub(crate) fn give(&self, path: &str, owner: (u32, u32)) -> bool {
        let owners = &mut self.memory().owners;
        let room = owners.len() < MAX_PATHS || owners.contains_key(path);
        if room {
            owners.insert(path.to_owned(), owner);
        }
        room
    }

    /// Whose something would be; none if that is as it looks.
    pub(crate) fn owner(&self, path: &str) -> Option<(u32, u32)> {
        self.memory().owners.get(path).copied()
    }

    /// Room for a content of so many bytes; none when that is more than can be remembered.
    pub(crate) fn room(self: &Arc<Self>, bytes: u64) -> Option<Room> {
        let mut memory = self.memory();
        let bytes = usize::try_from(bytes).ok()?;
        let now = memory.remembered.checked_add(bytes)?;
        if now > MAX_REMEMBERED {
            return None;
        }
        memory.remembered = now;
        Some(Room {
            planned: Arc::clone(self),
            bytes,
        })
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is planned for a path; a removed folder takes with it all that lay beneath.
    pub(crate) fn get(&self, path: &str) -> Option<Thing> {
        let memory = self.memory();
        if let Some(thing) = memory.things.get(path) {
            return Some(thing.clone());
        }
        let mut above = path;
        while let Some(cut) = above.rfind('/') {
            above = &above[..cut];
            if memory.emptied.contains(above) {
                return Some(Thing::Missing);
            }
        }
        None
    }

    /// Whether nothing that a folder has on the disk would still be in it.
    pub(crate) fn is_emptied(&self, folder: &str) -> bool {
        let emptied = &self.memory().emptied;
        let mut above = folder;
        loop {
            if emptied.contains(above) {
                return true;
            }
            match above.rfind('/') {
                Some(cut) => above = &above[..cut],
                None => return false,
            }
        }
    }

    /// Names planned directly in a folder, with whether they would exist.
    pub(crate) fn names_in(&self, folder: &str) -> Vec<(String, bool)> {
        let things = &self.memory().things;
        let prefix = super::name::join(folder, "");
        things
            .range(prefix.clone()..)
            .take_while(|(path, _)| path.starts_with(&prefix))
            .filter_map(|(path, thing)| {
                let name = path.strip_prefix(&prefix)?;
                (!name.is_empty() && !name.contains('/'))
                    .then(|| (name.to_owned(), *thing != Thing::Missing))
            })
            .collect()
    }
}

impl Thing {
    fn size(&self) -> usize {
        match self {
            Self::File { content, .. } => content.len(),
            Self::Missing | Self::Long { .. } | Self::Directory { .. } | Self::Symlink { .. } => 0,
        }
    }

    /// As if it had been looked at.
    pub(crate) fn observed(&self) -> Observed {
        let status = |size: usize, mode: u32| Status {
            size: size as u64,
            mode,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            modified: 0,
            names: 1,
        };
        match self {
            Self::Missing => Observed::Missing,
            Self::File { content, mode } => Observed::File(status(content.len(), *mode)),
            Self::Long { size, mode } => Observed::File(Status {
                size: *size,
                ..status(0, *mode)
            }),
            Self::Directory { mode } => Observed::Directory(status(0, *mode)),
            Self::Symlink { target } => {
                Observed::Symlink(status(target.len(), 0o777), target.clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_folder_hides_what_lay_beneath_also_when_it_is_made_again() {
        let planned = Planned::default();
        planned.set(
            "/a/b",
            Thing::File {
                content: Bytes::from_static(b"x"),
                mode: 0o644,
            },
        );
        planned.set("/a", Thing::Missing);
        assert_eq!(planned.get("/a/b"), Some(Thing::Missing));
        assert_eq!(planned.get("/a/c/d"), Some(Thing::Missing));
        planned.set("/a", Thing::Directory { mode: 0o755 });
        assert_eq!(
            planned.get("/a/b"),
            Some(Thing::Missing),
            "as it was, it is gone"
        );
        assert!(
            planned.is_emptied("/a") && planned.is_emptied("/a/b") && !planned.is_emptied("/ab")
        );
        planned.set("/a/b", Thing::Directory { mode: 0o700 });
        assert_eq!(planned.get("/a/b"), Some(Thing::Directory { mode: 0o700 }));
        assert_eq!(planned.get("/ab"), None);
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let planned = Arc::new(Planned::default());
        let half = || Thing::File {
            content: vec![0; MAX_REMEMBERED / 2].into(),
            mode: 0o644,
        };
        let room = planned.room(MAX_REMEMBERED as u64 / 2 + 1);
        assert!(room.is_some() && planned.room(MAX_REMEMBERED as u64 / 2).is_none());
        assert!(!planned.set("/a", half()));
        assert_eq!(planned.get("/a"), None);
        drop(room);
        assert!(
            planned.set("/a", half()) && planned.set("/a", half()) && planned.set("/b", half())
        );
        assert!(planned.room(1).is_none() && planned.room(u64::MAX).is_none());
        assert!(planned.set("/a", Thing::Missing) && planned.room(1).is_some());
    }

    #[test]
    fn names_in_a_folder_are_only_its_own() {
        let planned = Planned::default();
        planned.set("/a/b", Thing::Directory { mode: 0o755 });
        planned.set("/a/b/c", Thing::Missing);
        planned.set(
            "/top",
            Thing::Symlink {
                target: "/a".into(),
            },
        );
        assert_eq!(planned.names_in("/a"), vec![("b".to_owned(), true)]);
        assert_eq!(planned.names_in("/a/b"), vec![("c".to_owned(), false)]);
        assert_eq!(planned.names_in("/"), vec![("top".to_owned(), true)]);
    }
}
