//! Check mode's memory: what would stand where, so that a later read sees what an earlier call
//! would have written. Shared by all steps of a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::name::is_beneath;
use super::observe::{Observed, Status};

/// What a place would hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    Missing,
    File { content: Vec<u8>, mode: u32 },
    Directory { mode: u32 },
    Symlink { target: String },
}

/// Planned things by resolved path.
#[derive(Debug, Default)]
pub(crate) struct Planned(Mutex<BTreeMap<String, Thing>>);

/// Most bytes of content remembered in a run.
pub(crate) const MAX_REMEMBERED: usize = 256 << 20;
/// Most paths remembered in a run.
const MAX_PATHS: usize = 100_000;

impl Planned {
    /// False when that is more than can be remembered.
    pub(crate) fn set(&self, path: &str, thing: Thing) -> bool {
        let mut things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if thing == Thing::Missing {
            things.retain(|other, _| !is_beneath(other, path));
        }
        things.insert(path.to_owned(), thing);
        let remembered: usize = things.values().map(Thing::size).sum();
        remembered <= MAX_REMEMBERED && things.len() <= MAX_PATHS
    }

    /// What is planned for a path; a removed folder takes with it all that lay beneath.
    pub(crate) fn get(&self, path: &str) -> Option<Thing> {
        let things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thing) = things.get(path) {
            return Some(thing.clone());
        }
        let mut above = path;
        while let Some(cut) = above.rfind('/') {
            above = &above[..cut];
            if let Some(Thing::Missing) = things.get(above) {
                return Some(Thing::Missing);
            }
        }
        None
    }

    /// Names planned directly in a folder, with whether they would exist.
    pub(crate) fn names_in(&self, folder: &str) -> Vec<(String, bool)> {
        let things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let prefix = super::name::join(folder, "");
        things
            .iter()
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
            Self::Missing | Self::Directory { .. } | Self::Symlink { .. } => 0,
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
    fn a_removed_folder_hides_what_lay_beneath_until_it_is_planned_again() {
        let planned = Planned::default();
        planned.set(
            "/a/b",
            Thing::File {
                content: b"x".to_vec(),
                mode: 0o644,
            },
        );
        planned.set("/a", Thing::Missing);
        assert_eq!(planned.get("/a/b"), Some(Thing::Missing));
        assert_eq!(planned.get("/a/c/d"), Some(Thing::Missing));
        planned.set("/a", Thing::Directory { mode: 0o755 });
        assert_eq!(planned.get("/a/b"), None);
        assert_eq!(planned.get("/ab"), None);
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
