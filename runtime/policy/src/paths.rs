//! Many path globs compiled for one question: is this path among them?

use std::cmp::Ordering;

use crate::glob::Glob;

/// A set of path globs. Folders with all beneath them, which most grants are, and single paths are
/// sorted and searched; only what is left is tried one by one.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathSet {
    /// Folders without a trailing slash (the root is empty), none beneath another, in path order.
    trees: Box<[Box<str>]>,
    exact: Box<[Box<str>]>,
    globs: Box<[Glob]>,
}

impl PathSet {
    pub(crate) fn of<'a>(globs: impl Iterator<Item = &'a Glob>) -> Self {
        let mut trees = Vec::new();
        let mut exact: Vec<Box<str>> = Vec::new();
        let mut rest = Vec::new();
        for glob in globs {
            if let Some(tree) = glob.tree() {
                trees.push(tree);
            } else if let Some(path) = glob.literal() {
                exact.push(path.into());
            } else {
                rest.push(glob.clone());
            }
        }
        exact.sort_unstable();
        exact.dedup();
        Self {
            exact: exact.into(),
            globs: rest.into(),
            ..Self::trees(trees)
        }
    }

    /// The set of folders with all beneath them.
    pub(crate) fn trees(folders: Vec<String>) -> Self {
        let mut sorted: Vec<Box<str>> = folders
            .iter()
            .map(|folder| folder.trim_end_matches('/').into())
            .collect();
        sorted.sort_unstable_by(|left, right| path_order(left, right));
        // What is beneath a folder directly follows it in this order, so neighbours tell all.
        sorted.dedup_by(|later, earlier| is_beneath(later, earlier));
        Self {
            trees: sorted.into(),
            ..Self::default()
        }
    }

    /// Whether a normal path is in the set. Allocates nothing.
    pub(crate) fn holds(&self, path: &str) -> bool {
        // No tree is beneath another, so only the last one at or before the path can hold it.
        let index = self
            .trees
            .partition_point(|tree| path_order(tree, path) != Ordering::Greater);
        if index > 0 && is_beneath(path, &self.trees[index - 1]) {
            return true;
        }
        self.exact
            .binary_search_by(|exact| (**exact).cmp(path))
            .is_ok()
            || self.globs.iter().any(|glob| glob.matches(path))
    }

    /// The folders whose all is in the set, `/` for the root.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &str> {
        self.trees
            .iter()
            .map(|tree| if tree.is_empty() { "/" } else { &**tree })
    }

    /// Whether something at or beneath a folder may be in the set. Says yes in doubt.
    pub(crate) fn reaches_beneath(&self, folder: &str) -> bool {
        let folder = folder.trim_end_matches('/');
        self.trees
            .iter()
            .any(|tree| is_beneath(tree, folder) || is_beneath(folder, tree))
            || self.exact.iter().any(|exact| is_beneath(exact, folder))
            || self.globs.iter().any(|glob| glob.may_match_beneath(folder))
    }
}

/// Whether a path is a folder or beneath it. The root is the empty folder.
pub(crate) fn is_beneath(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Orders paths so that everything beneath a folder follows it without a gap: `/` comes before every
/// other character, so that `/a/b` stands before `/a-b`.
fn path_order(left: &str, right: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    let (left, right) = (left.as_bytes(), right.as_bytes());
    match left
        .iter()
        .zip(right)
        .position(|(left, right)| left != right)
    {
        Some(index) => rank(left[index]).cmp(&rank(right[index])),
        None => left.len().cmp(&right.len()),
    }
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
        assert_eq!(
            set.folders().collect::<Vec<_>>(),
            ["/a", "/srv/site", "/srv/site-b/x"]
        );
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
        assert_eq!(set.folders().collect::<Vec<_>>(), ["/"]);
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
