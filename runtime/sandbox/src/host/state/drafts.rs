//! Check mode's memory: what would stand under which key. Shared by all steps of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::ports::Problem;
use crate::ports::state::{Entry, MOST_BYTES, Plan, State, Write, full};

/// Planned writes by key, over what the node keeps.
#[derive(Debug, Default)]
pub(crate) struct Drafts(Mutex<BTreeMap<String, Write>>);

impl Drafts {
    /// What would stand under a key.
    pub(super) fn get(&self, key: &str, kept: &dyn State) -> Result<Option<Entry>, Problem> {
        find(
            &self.0.lock().unwrap_or_else(PoisonError::into_inner),
            key,
            kept,
        )
    }

    /// The keys that would be there, in order.
    pub(super) fn keys(&self, kept: &dyn State) -> Result<BTreeSet<String>, Problem> {
        let mut keys: BTreeSet<String> = kept.keys()?.into_iter().collect();
        let drafts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        for (key, write) in &*drafts {
            match write {
                Write::Put(entry) if entry.is_alive(now) => drop(keys.insert(key.clone())),
                Write::Put(_) | Write::Delete => drop(keys.remove(key)),
            }
        }
        Ok(keys)
    }

    /// As [`State::change`], with what is planned in place of what is done.
    pub(super) fn change(
        &self,
        key: &str,
        kept: &dyn State,
        plan: &mut Plan<'_>,
    ) -> Result<(), Problem> {
        let mut drafts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let observed = find(&drafts, key, kept)?;
        if let Some(write) = plan(observed.as_ref()) {
            let size = |(key, write): (&String, &Write)| match write {
                Write::Put(entry) => key.len() + entry.value.len(),
                Write::Delete => key.len(),
            };
            drafts.insert(key.to_owned(), write);
            if drafts.iter().map(size).sum::<usize>() as u64 > MOST_BYTES {
                drafts.remove(key);
                return Err(full());
            }
        }
        Ok(())
    }

    /// As [`State::clear`].
    pub(super) fn clear(
        &self,
        kept: &dyn State,
        wanted: &mut dyn FnMut(&str) -> bool,
    ) -> Result<u64, Problem> {
        let mut gone = self.keys(kept)?;
        gone.retain(|key| wanted(key));
        let count = gone.len() as u64;
        let mut drafts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drafts.extend(gone.into_iter().map(|key| (key, Write::Delete)));
        Ok(count)
    }
}

fn find(
    drafts: &BTreeMap<String, Write>,
    key: &str,
    kept: &dyn State,
) -> Result<Option<Entry>, Problem> {
    match drafts.get(key) {
        Some(Write::Put(entry)) => {
            Ok(Some(entry.clone()).filter(|entry| entry.is_alive(SystemTime::now())))
        }
        Some(Write::Delete) => Ok(None),
        None => kept.get(key),
    }
}
