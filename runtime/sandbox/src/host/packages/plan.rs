//! What is left to be done, from what is observed and what is asked, and what it comes to. Pure.

use std::fmt::Write as _;

use sloth_workflow::text::Untrusted;

use super::manager::Manager;
use crate::host::error::{Error, Result};

/// What is asked of a manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Install(Vec<Wanted>),
    Remove { names: Vec<String>, purge: bool },
    Upgrade(Vec<String>),
    UpgradeAll,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) version: Option<String>,
}

/// What is known of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) candidate: Option<String>,
    pub(crate) held: bool,
    pub(crate) summary: String,
    /// It was removed and its settings were left.
    pub(crate) leftovers: bool,
}

/// What a manager would do to one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) name: String,
    /// The version that goes.
    pub(crate) before: Option<String>,
    /// The version that comes.
    pub(crate) after: Option<String>,
}

impl Act {
    pub(super) fn removes(&self) -> bool {
        self.after.is_none()
    }
}

impl Task {
    /// The packages that it names.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Install(wanted) => wanted.iter().map(|one| one.name.clone()).collect(),
            Self::Remove { names, .. } | Self::Upgrade(names) => names.clone(),
            Self::UpgradeAll => Vec::new(),
        }
    }

    /// What it is called in messages: `install nginx, curl`.
    pub(super) fn doing(&self) -> String {
        let verb = match self {
            Self::Install(_) => "install",
            Self::Remove { purge: false, .. } => "remove",
            Self::Remove { purge: true, .. } => "purge",
            Self::Upgrade(_) => "upgrade",
            Self::UpgradeAll => return "upgrade all packages".to_owned(),
        };
        format!("{verb} {}", self.names().join(", "))
    }
}

/// The part of a task that is not so already; none if all of it is.
pub(super) fn plan(manager: Manager, task: &Task, known: &[Known]) -> Result<Option<Task>> {
    let of = |name: &str| known.iter().find(|one| one.name == name);
    let left = match task {
        Task::Install(wanted) => {
            let mut left = Vec::new();
            for one in wanted {
                if install(manager, one, of(&one.name))? {
                    left.push(one.clone());
                }
            }
            (!left.is_empty()).then_some(Task::Install(left))
        }
        Task::Remove { names, purge } => {
            let there = |name: &&String| {
                of(name).is_some_and(|one| one.version.is_some() || *purge && one.leftovers)
            };
            let left: Vec<String> = names.iter().filter(there).cloned().collect();
            if let Some(held) = left
                .iter()
                .find(|name| of(name).is_some_and(|one| one.held))
            {
                return Err(is_held("remove", held));
            }
            (!left.is_empty()).then_some(Task::Remove {
                names: left,
                purge: *purge,
            })
        }
        Task::Upgrade(names) => {
            let mut left = Vec::new();
            for name in names {
                if upgrade(name, of(name))? {
                    left.push(name.clone());
                }
            }
            (!left.is_empty()).then_some(Task::Upgrade(left))
        }
        Task::UpgradeAll => Some(Task::UpgradeAll),
    };
    Ok(left)
}

fn install(manager: Manager, wanted: &Wanted, known: Option<&Known>) -> Result<bool> {
    let installed = known.and_then(|known| known.version.as_deref());
    match (installed, &wanted.version) {
        (Some(_), None) => return Ok(false),
        (Some(installed), Some(version)) if manager.same_version(installed, version) => {
            return Ok(false);
        }
        _ => {}
    }
    let Some(known) = known.filter(|known| known.candidate.is_some() || known.version.is_some())
    else {
        return Err(unknown(&wanted.name));
    };
    if known.held && installed.is_some() {
        return Err(is_held("change", &wanted.name));
    }
    Ok(true)
}

fn upgrade(name: &str, known: Option<&Known>) -> Result<bool> {
    let Some(known) = known.filter(|known| known.version.is_some()) else {
        return Err(Error::not_found(format!(
            "failed to upgrade {name}: it is not installed; pkg.install installs it"
        )));
    };
    if known.candidate.is_none() || known.candidate == known.version {
        return Ok(false);
    }
    if known.held {
        return Err(is_held("upgrade", name));
    }
    Ok(true)
}

/// The lists know no such package.
pub(super) fn unknown(name: &str) -> Error {
    Error::not_found(format!(
        "there is no package `{}` in the node's lists of packages; if it is new, refresh them first with \
         pkg.update()",
        Untrusted::new(name).escaped()
    ))
}

fn is_held(verb: &str, name: &str) -> Error {
    Error::failed(format!(
        "failed to {verb} {name}: the node's operator holds it at its version; release it with `apt-mark \
         unhold {name}`"
    ))
}

/// All that would happen, on one line: `install nginx 1.22, libfoo 1.0; remove oldpkg 1.0`.
pub(super) fn summary(acts: &[Act]) -> String {
    let mut parts = Vec::new();
    let mut say = |verb: &str, told: Vec<String>| {
        if !told.is_empty() {
            parts.push(format!("{verb} {}", told.join(", ")));
        }
    };
    let of = |wanted: fn(&Act) -> Option<String>| acts.iter().filter_map(wanted).collect();
    say(
        "install",
        of(|act| match (&act.before, &act.after) {
            (None, Some(after)) => Some(format!("{} {after}", act.name)),
            _ => None,
        }),
    );
    say(
        "change",
        of(|act| match (&act.before, &act.after) {
            (Some(before), Some(after)) => Some(format!("{} {before} to {after}", act.name)),
            _ => None,
        }),
    );
    say(
        "remove",
        of(|act| match (&act.before, &act.after) {
            (Some(before), None) => Some(format!("{} {before}", act.name)),
            (None, None) => Some(act.name.clone()),
            _ => None,
        }),
    );
    let mut text = parts.join("; ");
    if text.len() > 4000 {
        text.truncate(text.floor_char_boundary(4000));
        text.push('…');
    }
    text
}

/// The same as lines that go and lines that come: `+nginx 1.22`.
pub(super) fn diff(acts: &[Act]) -> String {
    let mut text = String::from("--- packages\n+++ packages\n");
    for act in acts {
        if let Some(before) = &act.before {
            let _ = writeln!(text, "-{} {before}", act.name);
        }
        if let Some(after) = &act.after {
            let _ = writeln!(text, "+{} {after}", act.name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str, version: Option<&str>, candidate: Option<&str>) -> Known {
        Known {
            name: name.into(),
            version: version.map(Into::into),
            candidate: candidate.map(Into::into),
            ..Known::default()
        }
    }

    fn wanted(name: &str, version: Option<&str>) -> Wanted {
        Wanted {
            name: name.into(),
            version: version.map(Into::into),
        }
    }

    fn says(task: &Task, known: &[Known]) -> String {
        match plan(Manager::Apt, task, known) {
            Ok(left) => left.map_or_else(|| "nothing".into(), |task| task.doing()),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn only_the_difference_is_left() {
        let all = [
            known("a", Some("1"), Some("2")),
            known("b", None, Some("1")),
        ];
        let both = Task::Install(vec![wanted("a", None), wanted("b", None)]);
        assert_eq!(says(&both, &all), "install b");
        let exact = Task::Install(vec![wanted("a", Some("1"))]);
        assert_eq!(says(&exact, &all), "nothing");
        let other = Task::Install(vec![wanted("a", Some("2"))]);
        assert_eq!(says(&other, &all), "install a");
        let gone = Task::Remove {
            names: vec!["a".into(), "b".into(), "c".into()],
            purge: false,
        };
        assert_eq!(says(&gone, &all), "remove a");
        assert_eq!(says(&Task::Upgrade(vec!["a".into()]), &all), "upgrade a");
    }

    #[test]
    fn what_the_lists_do_not_know_names_the_refresh() {
        let told = says(
            &Task::Install(vec![wanted("x", None)]),
            &[known("x", None, None)],
        );
        assert!(
            told.contains("NotFound") && told.contains("pkg.update()"),
            "{told}"
        );
        let told = says(&Task::Upgrade(vec!["x".into()]), &[]);
        assert!(told.contains("it is not installed"), "{told}");
    }

    #[test]
    fn a_held_package_is_not_changed() {
        let mut held = known("a", Some("1"), Some("2"));
        held.held = true;
        let all = [held];
        for task in [
            Task::Upgrade(vec!["a".into()]),
            Task::Install(vec![wanted("a", Some("2"))]),
            Task::Remove {
                names: vec!["a".into()],
                purge: true,
            },
        ] {
            let told = says(&task, &all);
            assert!(told.contains("apt-mark unhold a"), "{told}");
        }
        assert_eq!(
            says(&Task::Install(vec![wanted("a", None)]), &all),
            "nothing"
        );
    }

    #[test]
    fn purging_takes_what_an_earlier_removal_left() {
        let mut left = known("a", None, Some("2"));
        left.leftovers = true;
        let task = |purge| Task::Remove {
            names: vec!["a".into()],
            purge,
        };
        assert_eq!(says(&task(true), std::slice::from_ref(&left)), "purge a");
        assert_eq!(says(&task(false), &[left]), "nothing");
    }

    #[test]
    fn a_change_names_everything_that_goes_and_comes() {
        let act = |name: &str, before: Option<&str>, after: Option<&str>| Act {
            name: name.into(),
            before: before.map(Into::into),
            after: after.map(Into::into),
        };
        let acts = [
            act("lib", None, Some("1.0")),
            act("site", Some("1.0"), Some("2.0")),
            act("rival", Some("1.0"), None),
        ];
        assert_eq!(
            summary(&acts),
            "install lib 1.0; change site 1.0 to 2.0; remove rival 1.0"
        );
        assert_eq!(
            diff(&acts),
            "--- packages\n+++ packages\n+lib 1.0\n-site 1.0\n+site 2.0\n-rival 1.0\n"
        );
    }
}
