//! What check mode remembers of packages, so that a later query in the run sees what an earlier call would
//! have done. Shared by all steps of a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::plan::{Act, Known};

/// The version each package would have; none if it would be gone.
#[derive(Debug, Default)]
pub(crate) struct Planned(Mutex<BTreeMap<String, Option<String>>>);

impl Planned {
    /// Remembers what would have been done.
    pub(super) fn keep(&self, acts: &[Act]) {
        let mut versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for act in acts {
            versions.insert(act.name.clone(), act.after.clone());
        }
    }

    /// The packages that would be there by now.
    pub(crate) fn installed(&self) -> Vec<String> {
        let versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = versions.iter().filter(|(_, version)| version.is_some());
        there.map(|(name, _)| name.clone()).collect()
    }

    /// Puts what is planned over what is.
    pub(super) fn over(&self, known: &mut [Known]) {
        let versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in known {
            if let Some(version) = versions.get(&one.name) {
                one.version.clone_from(version);
                one.leftovers = false;
            }
        }
    }

    /// The same for the list of all that is installed.
    pub(super) fn over_all(&self, mut all: Vec<Known>) -> Vec<Known> {
        self.over(&mut all);
        all.retain(|one| one.version.is_some());
        let versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, version) in versions.iter() {
            if version.is_some() && !all.iter().any(|one| one.name == *name) {
                all.push(Known {
                    name: name.clone(),
                    version: version.clone(),
                    ..Known::default()
                });
            }
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }
}
