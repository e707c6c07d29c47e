//! Artifacts by name: which task leaves what another consumes.

use std::collections::HashMap;

use sloth_policy::Glob;

use crate::plan::{Error, Task};
use crate::text::Untrusted;

use super::nearest::nearest;

/// Where a task gets artifacts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Index of the task that leaves them.
    pub task: usize,
    /// Which of them, as [`named`] has it; none is all.
    pub name: Option<Untrusted>,
}

impl Source {
    /// The globs of `producer`, the task that this source names, whose files are taken; none is
    /// every file.
    pub fn globs(&self, producer: &Task) -> Option<Vec<Glob>> {
        let name = self.name.as_ref()?;
        let entries = producer.artifacts.iter();
        Some(
            entries
                .filter(|entry| named(entry, name.raw()))
                .filter_map(|entry| glob(entry).ok())
                .collect(),
        )
    }
}

/// Whether an entry of `artifacts` is consumed by that name: the whole of it or its last component.
pub fn named(entry: &Untrusted, name: &str) -> bool {
    let (whole, last) = spellings(entry);
    let name = name.trim_end_matches('/');
    name == whole || name == last
}

/// An entry of `artifacts` as a glob over paths that begin with a slash. The error is a sentence
/// without its subject.
pub fn glob(entry: &Untrusted) -> Result<Glob, String> {
    match entry.raw().trim_end_matches('/') {
        "" => Err("names no file".to_owned()),
        path => Glob::parse(&format!("/{path}")),
    }
}

/// Whether a glob covers the file at this relative path, or a folder above it.
pub fn covers(glob: &Glob, path: &str) -> bool {
    let path = format!("/{path}");
    let mut above = path.match_indices('/').skip(1).map(|(end, _)| &path[..end]);
    glob.matches(&path) || above.any(|folder| glob.matches(folder))
}

fn spellings(entry: &Untrusted) -> (&str, &str) {
    let whole = entry.raw().trim_end_matches('/');
    (whole, whole.rsplit('/').next().unwrap_or(whole))
}

/// Who leaves what, by name.
pub(super) struct Producers<'a> {
    tasks: &'a [Task],
    by_task: &'a HashMap<&'a str, usize>,
    /// The first three of those that leave something of that name: the consumer may be one, and
    /// two others are already too many.
    by_artifact: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Producers<'a> {
    pub(super) fn of(tasks: &'a [Task], by_task: &'a HashMap<&'a str, usize>) -> Self {
        let mut by_artifact: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, task) in tasks.iter().enumerate() {
            for entry in &task.artifacts {
                let (whole, last) = spellings(entry);
                for name in [whole, last] {
                    let producers = by_artifact.entry(name).or_default();
                    if producers.len() < 3 && producers.last() != Some(&index) {
                        producers.push(index);
                    }
                }
            }
        }
        Self {
            tasks,
            by_task,
            by_artifact,
        }
    }

    /// Where the task at `consumer` gets what it calls `name`.
    pub(super) fn source(&self, consumer: usize, name: &Untrusted) -> Result<Source, Error> {
        if let Some(&task) = self.by_task.get(name.raw()) {
            return Ok(Source { task, name: None });
        }
        let task = &self.tasks[consumer];
        let mut others = self
            .by_artifact
            .get(name.raw().trim_end_matches('/'))
            .into_iter()
            .flatten()
            .filter(|producer| **producer != consumer);
        match (others.next(), others.next()) {
            (Some(&producer), None) => Ok(Source {
                task: producer,
                name: Some(name.clone()),
            }),
            (Some(&first), Some(&second)) => Err(Error::AmbiguousArtifact {
                task: task.name.clone(),
                name: name.clone(),
                first: self.tasks[first].name.clone(),
                second: self.tasks[second].name.clone(),
                line: task.line,
            }),
            (None, _) => Err(Error::UnknownArtifact {
                task: task.name.clone(),
                name: name.clone(),
                nearest: nearest(name.raw(), self.names(consumer)),
                line: task.line,
            }),
        }
    }

    /// What could be consumed.
    fn names(&self, consumer: usize) -> impl Iterator<Item = &'a str> {
        let others = self.tasks.iter().enumerate();
        others
            .filter(move |(index, _)| *index != consumer)
            .flat_map(|(_, task)| {
                let entries = task.artifacts.iter().flat_map(|entry| {
                    let (whole, last) = spellings(entry);
                    [whole, last]
                });
                std::iter::once(task.name.raw()).chain(entries)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_named_by_its_whole_path_or_its_last_component() {
        let entry = "dist/site.tar".into();
        assert!(named(&entry, "dist/site.tar") && named(&entry, "site.tar"));
        assert!(!named(&entry, "dist") && !named(&entry, "tar"));
        assert!(named(&"dist/".into(), "dist"));
    }

    #[test]
    fn a_glob_covers_files_and_what_is_beneath_folders() {
        let tar = glob(&"dist/*.tar".into()).unwrap();
        assert!(covers(&tar, "dist/a.tar") && covers(&tar, "dist/folder.tar/a"));
        assert!(!covers(&tar, "a.tar") && !covers(&tar, "dist/a.zip"));
        let folder = glob(&"dist/".into()).unwrap();
        assert!(covers(&folder, "dist/a/b") && !covers(&folder, "distant/a"));
    }

    #[test]
    fn paths_that_lead_out_of_the_working_folder_are_no_globs() {
        for entry in ["/etc/passwd", "../x", "a/../../x", "", "/"] {
            let parsed = glob(&entry.into());
            assert!(parsed.is_err(), "{entry}: {parsed:?}");
        }
    }
}
