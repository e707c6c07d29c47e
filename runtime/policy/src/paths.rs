//! Many path globs compiled for one question: is this path among them?

use crate::glob::Glob;
use crate::index::Index;

/// A set of path globs, found by what they begin with.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathSet {
    covers: Index<Cover>,
}

/// What a glob covers, given its head: a folder without a trailing slash (the root is empty), a
/// path, or what a glob's literal text is.
#[derive(Clone, Debug)]
enum Cover {
    Tree,
    Exact,
    Matches(Glob),
}

impl PathSet {
    pub(crate) fn of<'a>(globs: impl Iterator<Item = &'a Glob>) -> Self {
        let covers = globs.map(|glob| {
            if let Some(folder) = glob.tree() {
                (folder.trim_end_matches('/').to_owned(), Cover::Tree)
            } else if let Some(path) = glob.literal() {
                (path, Cover::Exact)
            } else {
                (glob.head().to_owned(), Cover::Matches(glob.clone()))
            }
        });
        Self {
            covers: Index::of(covers.collect()),
        }
    }

    /// The set of folders with all beneath them.
    pub(crate) fn trees(folders: Vec<String>) -> Self {
        let covers = folders
            .iter()
            .map(|folder| (folder.trim_end_matches('/').to_owned(), Cover::Tree))
            .collect();
        Self {
            covers: Index::of(covers),
        }
    }

    /// Whether a normal path is in the set. Allocates nothing.
    pub(crate) fn holds(&self, path: &str) -> bool {
        self.covers.any(path, |rest, cover| match cover {
            Cover::Tree => matches!(rest.first(), None | Some(b'/')),
            Cover::Exact => rest.is_empty(),
            Cover::Matches(glob) => glob.matches(path),
        })
    }

    /// The folders whose all is in the set, none beneath another, `/` for the root.
    pub(crate) fn folders(&self) -> Vec<&str> {
        let trees = || {
            self.covers
                .iter()
                .filter(|(_, cover)| matches!(cover, Cover::Tree))
                .map(|(head, _)| head)
        };
        let mut folders: Vec<&str> = trees()
            .filter(|folder| !trees().any(|other| other != *folder && is_beneath(folder, other)))
            .map(|folder| if folder.is_empty() { "/" } else { folder })
            .collect();
        folders.dedup();
        folders
    }

    /// Whether something at or beneath a folder may be in the set. Says yes in doubt.
    pub(crate) fn reaches_beneath(&self, folder: &str) -> bool {
        let folder = folder.trim_end_matches('/');
        self.covers.iter().any(|(head, cover)| match cover {
            Cover::Tree => is_beneath(head, folder) || is_beneath(folder, head),
            Cover::Exact => is_beneath(head, folder),
            Cover::Matches(glob) => glob.may_match_beneath(folder),
        })
    }
}

/// Whether a path is a folder or beneath it. The root is the empty folder.
pub(crate) fn is_beneath(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(globs: &[&str]) -> PathSet {
        let globs: Vec<Glob> = globs
            .iter()
            .map(|glob| Glob::parse(glob).expect("the pattern is well formed"))
            .collect();
        PathSet::of(globs.iter())
    }

    #[test]
    fn a_tree_holds_its_folder_and_all_beneath_and_no_neighbour() {
        let set = set(&[
            "/srv/site/**",
            "/srv/site/deep/**",
            "/srv/site-b/x/**",
            "/a/**",
        ]);
        assert_eq!(set.folders(), ["/a", "/srv/site", "/srv/site-b/x"]);
        for path in [
            "/srv/site",
            "/srv/site/a",
            "/srv/site/deep/er",
            "/srv/site-b/x/y",
            "/a/b",
        ] {
            assert!(set.holds(path), "{path}");
        }
        for path in ["/srv", "/srv/site-b", "/srv/site2", "/srv/sit", "/", "/b"] {
            assert!(!set.holds(path), "{path}");
        }
    }

    #[test]
    fn the_root_tree_holds_everything() {
        let set = set(&["/**", "/a/**"]);
        assert_eq!(set.folders(), ["/"]);
        assert!(set.holds("/") && set.holds("/a") && set.holds("/b/c"));
    }

    #[test]
    fn single_paths_and_globs_are_held_beside_trees() {
        let set = set(&["/etc/motd", "/", "/etc/*.conf", "**/*.key"]);
        for path in ["/etc/motd", "/", "/etc/a.conf", "/x/y.key", "/y.key"] {
            assert!(set.holds(path), "{path}");
        }
        assert!(!set.holds("/etc/motd/x") && !set.holds("/etc/a/b.conf"));
    }
}
