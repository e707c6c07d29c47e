//! What becomes of a change: observe, plan, permit what comes along, apply, emit; and waiting for another
//! package manager in between.

use sloth_policy::{Capability, Decision, Layer};
use sloth_workflow::event::Level;

use super::manager::{Applied, Manager};
use super::names;
use super::plan::{self, Act, Known, Task};
use super::view::PackagesView;
use crate::bindings::sloth::host::types;
use crate::host::error::{Error, Result};
use crate::host::waiting;

/// What stands for all packages where none is named.
const ALL: &str = "*";
pub(super) const DENIED: Decision = Decision::Refused(Layer::Deny);

/// Asks again for as long as another package manager is at work.
macro_rules! patiently {
    ($view:ident, $doing:expr, $ask:expr) => {
        loop {
            match $ask.await? {
                Ok(told) => break told,
                Err($crate::host::packages::manager::Locked(holder)) => {
                    $view.wait($doing, &holder).await?
                }
            }
        }
    };
}
pub(super) use patiently;

impl PackagesView<'_> {
    /// Observe, plan, permit what comes along, apply, emit; again from the start after another manager's end.
    pub(super) async fn change(
        &mut self,
        manager: Manager,
        capability: Capability,
        task: Task,
    ) -> Result<types::Change> {
        let mut intended = None;
        loop {
            let known = self.observe(&task.doing(), manager, &task.names()).await?;
            let Some(left) = plan::plan(manager, &task, &known)? else {
                return Ok(self.unchanged(&so_already(&task)));
            };
            let mut acts = patiently!(
                self,
                &task.doing(),
                manager.simulate(&self.tools(), &left, &known)
            );
            if acts.is_empty() && self.tree.check() {
                // What an earlier call would have done is not there to be simulated.
                acts = foreseen(&left, &known);
            }
            if acts.is_empty() {
                return Ok(self.unchanged(&so_already(&task)));
            }
            self.permit_all(capability, &task.names(), &acts)?;
            let summary = plan::summary(&acts);
            if self.tree.check() {
                self.planned.keep(&acts);
            } else {
                // One intent for however long another manager is waited for.
                if intended.as_ref() != Some(&summary) {
                    self.gate.intend(capability, &summary)?;
                    intended = Some(summary.clone());
                }
                let applied = manager.apply(&self.tools(), &left, &acts).await?;
                if let Applied::Locked(holder) = applied {
                    self.wait(&task.doing(), &holder).await?;
                    continue;
                }
            }
            let diff = self.tree.diff.then(|| plan::diff(&acts));
            return self.emit(capability, summary, diff);
        }
    }

    /// What goes along must be granted by name; what comes along, as what is asked for depends on it, must
    /// only not be denied.
    fn permit_all(&mut self, capability: Capability, asked: &[String], acts: &[Act]) -> Result<()> {
        let grants = self.gate.grants();
        let mut refused = Vec::new();
        for act in acts {
            let of = if act.removes() {
                Capability::PackagesRemove
            } else {
                capability
            };
            let denied = [act.name.as_str(), names::plain(&act.name)]
                .iter()
                .any(|name| grants.name(of, name) == DENIED);
            let decision = match grants.name(of, &act.name) {
                _ if denied => DENIED,
                decision if act.removes() => decision,
                _ => Decision::Allowed,
            };
            if let Decision::Refused(layer) = decision {
                refused.push((of, act.name.clone(), layer));
            }
        }
        // Each is reported, so that all lines that are missing are seen at once; the first is the answer.
        let mut answer = None;
        let list: Vec<String> = refused.iter().map(|(_, name, _)| name.clone()).collect();
        for (of, name, layer) in refused {
            let mut denial = self.gate.grants().denial(of, &name, layer);
            let along = if of == Capability::PackagesRemove {
                "would be removed"
            } else {
                "would be changed"
            };
            denial.message = format!(
                "{}; {} {along} for the sake of {}",
                denial.message,
                list.join(", "),
                if asked.is_empty() {
                    ALL.to_owned()
                } else {
                    asked.join(", ")
                },
            );
            let error = self.gate.refuse(&denial);
            answer.get_or_insert(error);
        }
        answer.map_or(Ok(()), Err)
    }

    /// Lets another package manager go on for a while.
    pub(super) async fn wait(&mut self, doing: &str, holder: &str) -> Result<()> {
        if !waiting::may_wait(self.watch) {
            return Err(Error::failed(format!(
                "failed to {doing}: {holder} is at work on the node's packages and did not end within the \
                 task's time; give the task a longer timeout, or end that process"
            )));
        }
        if self.waited.as_deref() != Some(holder) {
            let message = format!("waiting to {doing}: {holder} is at work on the node's packages");
            self.gate.report.log(Level::Info, &message)?;
            self.waited = Some(holder.to_owned());
        }
        waiting::a_while(self.watch).await
    }
}

pub(super) fn so_already(task: &Task) -> String {
    match task {
        Task::Install(_) => format!("{} installed already", task.names().join(", ")),
        Task::Remove { .. } => format!("{} not installed", task.names().join(", ")),
        Task::Upgrade(_) => format!("{} current already", task.names().join(", ")),
        Task::UpgradeAll => "all packages are current".to_owned(),
    }
}

/// What a task comes to where nothing but what it names is known.
pub(super) fn foreseen(task: &Task, known: &[Known]) -> Vec<Act> {
    let of = |name: &str| known.iter().find(|one| one.name == name);
    let act = |name: &str, after: Option<String>| Act {
        name: name.to_owned(),
        before: of(name).and_then(|one| one.version.clone()),
        after,
    };
    match task {
        Task::Install(wanted) => wanted
            .iter()
            .map(|one| {
                let candidate = of(&one.name).and_then(|known| known.candidate.clone());
                act(
                    &one.name,
                    one.version
                        .clone()
                        .or(candidate)
                        .or_else(|| Some(String::new())),
                )
            })
            .collect(),
        Task::Remove { names, .. } => names.iter().map(|name| act(name, None)).collect(),
        Task::Upgrade(names) => names
            .iter()
            .filter_map(|name| {
                let candidate = of(name)?.candidate.clone()?;
                Some(act(name, Some(candidate)))
            })
            .collect(),
        Task::UpgradeAll => Vec::new(),
    }
}
