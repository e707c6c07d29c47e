//! While a run is only learned, packages that nothing grants are imagined: none is there but what the run itself has
//! asked for. No manager is asked and nothing of the node is looked at.

use sloth_policy::Capability;

use super::Planned;
use super::change::{foreseen, so_already};
use super::plan::{self, Act, Known, Task};
use super::view::PackagesView;
use crate::bindings::sloth::host::types;
use crate::host::error::Result;

/// What a run knows by itself of these packages.
pub(super) fn known(planned: &Planned, names: &[String]) -> Vec<Known> {
    let unknown = |name: &String| Known {
        name: name.clone(),
        ..Known::default()
    };
    let mut known: Vec<Known> = names.iter().map(unknown).collect();
    planned.over(&mut known);
    known
}

/// What a task comes to where nothing else is.
fn acts(task: &Task, known: &[Known]) -> Vec<Act> {
    let mut acts = foreseen(task, known);
    acts.retain(|act| match &act.before {
        None => !act.removes(),
        // A version that was not asked for is any.
        Some(before) => act.removes() || !matches!(act.after.as_deref(), Some(after) if after.is_empty() || after == before),
    });
    acts
}

impl PackagesView<'_> {
    /// Tells what would be done, and remembers it for later calls.
    pub(super) fn imagine(&mut self, capability: Capability, task: &Task) -> Result<types::Change> {
        let acts = acts(task, &known(self.planned, &task.names()));
        if acts.is_empty() {
            return Ok(self.unchanged(&so_already(task)));
        }
        self.planned.keep(&acts);
        let diff = self.tree.diff.then(|| plan::diff(&acts));
        self.emit(capability, plan::summary(&acts), diff)
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Wanted;
    use super::*;

    fn install(name: &str, version: Option<&str>) -> Task {
        Task::Install(vec![Wanted {
            name: name.to_owned(),
            version: version.map(str::to_owned),
        }])
    }

    #[test]
    fn nothing_is_there_but_what_was_asked_for() {
        let planned = Planned::default();
        let names = ["site".to_owned()];
        let remove = Task::Remove {
            names: names.to_vec(),
            purge: false,
        };
        let left = |task: &Task| acts(task, &known(&planned, &names)).len();
        assert_eq!(left(&remove), 0);
        assert_eq!(left(&install("site", None)), 1);
        planned.keep(&acts(
            &install("site", Some("1.0")),
            &known(&planned, &names),
        ));
        assert_eq!(known(&planned, &names)[0].version.as_deref(), Some("1.0"));
        assert_eq!(left(&install("site", None)), 0);
        assert_eq!(left(&install("site", Some("1.0"))), 0);
        assert_eq!(left(&install("site", Some("2.0"))), 1);
        assert_eq!(left(&Task::Upgrade(names.to_vec())), 0);
        assert_eq!(left(&remove), 1);
    }
}
