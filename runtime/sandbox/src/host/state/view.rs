//! The view on the node's state that the guest's calls get, and what each call does.

use std::sync::Arc;
use std::time::SystemTime;

use sloth_policy::{Capability, Decision, Wildcard};
use wasmtime::component::HasData;

use super::drafts::Drafts;
use super::plan;
use crate::bindings::sloth::host::state::{self, Incremented, Number, Swapped};
use crate::bindings::sloth::host::types::Change;
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::host::files::diff;
use crate::ports::Problem;
use crate::ports::state::{Entry, State as Kept, Write};
use crate::watch::Watch;

pub(crate) struct State;

impl HasData for State {
    type Data<'a> = StateView<'a>;
}

/// State and nothing else of an instance.
pub(crate) struct StateView<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) kept: &'a Arc<dyn Kept>,
    /// Set in check mode.
    pub(crate) drafts: Option<&'a Arc<Drafts>>,
    pub(crate) diff: bool,
    pub(crate) watch: &'a Watch,
}

/// What a call came to.
struct Made<T> {
    answer: T,
    before: Option<Entry>,
    write: Option<Write>,
}

impl state::Host for StateView<'_> {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>> {
        self.gate.name(Capability::StateRead, "state.get", &key)?;
        plan::key(&key)?;
        let drafts = self.drafts.cloned();
        let entry = self.apart(move |kept| match drafts {
            Some(drafts) => drafts.get(&key, kept),
            None => kept.get(&key),
        });
        Ok(entry.await?.map(|entry| entry.value))
    }

    async fn keys(&mut self, pattern: String) -> Result<Vec<String>> {
        let fits = self.pattern(Capability::StateRead, "state.keys", &pattern)?;
        let drafts = self.drafts.cloned();
        let found = self.apart(move |kept| match drafts {
            Some(drafts) => Ok(drafts.keys(kept)?.into_iter().collect()),
            None => kept.keys(),
        });
        let mut keys: Vec<String> = found.await?;
        let grants = self.gate.grants();
        keys.retain(|key| {
            fits.matches(key) && grants.name(Capability::StateRead, key).is_allowed()
        });
        Ok(keys)
    }

    async fn set(&mut self, key: String, value: Vec<u8>, lifetime: Option<u64>) -> Result<Change> {
        self.gate.name(Capability::StateWrite, "state.set", &key)?;
        plan::key(&key)?;
        let expires = plan::expiry(lifetime, SystemTime::now())?;
        let value = plan::canonical(&value)?;
        let desired = Entry { value, expires };
        let made = self.make(&key, move |observed| ((), plan::set(observed, &desired)));
        let made = made.await?;
        self.tell(&key, &format!("set state {key}"), &made)
    }

    async fn delete(&mut self, key: String) -> Result<Change> {
        self.gate
            .name(Capability::StateWrite, "state.delete", &key)?;
        plan::key(&key)?;
        let made = self.make(&key, |observed| ((), plan::delete(observed)));
        let made = made.await?;
        self.tell(&key, &format!("delete state {key}"), &made)
    }

    async fn clear(&mut self, pattern: String) -> Result<Change> {
        let fits = self.pattern(Capability::StateWrite, "state.clear", &pattern)?;
        let (drafts, grants) = (self.drafts.cloned(), Arc::clone(self.gate.grants()));
        let cleared = self.apart(move |kept| {
            let mut wanted = |key: &str| {
                fits.matches(key) && grants.name(Capability::StateWrite, key).is_allowed()
            };
            match drafts {
                Some(drafts) => drafts.clear(kept, &mut wanted),
                None => kept.clear(&mut wanted),
            }
        });
        let count = cleared.await?;
        let noun = if count == 1 { "key" } else { "keys" };
        self.change(
            count > 0,
            format!("clear state {pattern} ({count} {noun})"),
            None,
        )
    }

    async fn increment(&mut self, key: String, by: Number) -> Result<Incremented> {
        self.permit_both("state.increment", &key)?;
        let made = self.make(&key, move |observed| match plan::increment(observed, by) {
            Ok((sum, entry)) => (Ok(sum), plan::set(observed, &entry)),
            Err(reason) => (Err(reason), None),
        });
        let made = made.await?;
        let value = made
            .answer
            .map_err(|reason| Error::failed(format!("the key `{key}` {reason}")))?;
        let sum = match value {
            Number::Integer(sum) => sum.to_string(),
            Number::Float(sum) => sum.to_string(),
        };
        let change = self.tell(&key, &format!("increment state {key} to {sum}"), &made)?;
        Ok(Incremented { change, value })
    }

    async fn compare_and_swap(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        new: Option<Vec<u8>>,
    ) -> Result<Swapped> {
        self.permit_both("state.compare-and-swap", &key)?;
        let form = |value: Option<Vec<u8>>| value.map(|bytes| plan::canonical(&bytes)).transpose();
        let (expected, new) = (form(expected)?, form(new)?);
        let made = self.make(&key, move |observed| {
            plan::swap(observed, expected.as_deref(), new.as_deref())
        });
        let made = made.await?;
        let change = self.tell(&key, &format!("swap state {key}"), &made)?;
        let swapped = made.answer;
        Ok(Swapped { change, swapped })
    }
}

impl StateView<'_> {
    /// What tells of a value by changing it needs both grants.
    fn permit_both(&mut self, call: &str, key: &str) -> Result<()> {
        self.gate.name(Capability::StateWrite, call, key)?;
        self.gate.name(Capability::StateRead, call, key)?;
        plan::key(key)
    }

    /// Passes if any key is granted at all: what fits the pattern is then asked key by key.
    fn pattern(&mut self, capability: Capability, call: &str, pattern: &str) -> Result<Wildcard> {
        self.gate.loaded(call)?;
        if let Decision::Refused(layer) = self.gate.grants().any_name(capability) {
            let denial = self
                .gate
                .grants()
                .pattern_denial(capability, pattern, layer);
            return Err(self.gate.refuse(&denial));
        }
        plan::pattern(pattern)
    }

    /// Observes, plans and applies as one; in check mode what would be applied is remembered.
    async fn make<T: Send + 'static>(
        &self,
        key: &str,
        plan: impl Fn(Option<&Entry>) -> (T, Option<Write>) + Send + 'static,
    ) -> Result<Made<T>> {
        let (key, drafts) = (key.to_owned(), self.drafts.cloned());
        self.apart(move |kept| {
            let mut made = None;
            let mut deciding = |observed: Option<&Entry>| {
                let (answer, write) = plan(observed);
                made = Some(Made {
                    answer,
                    before: observed.cloned(),
                    write: write.clone(),
                });
                write
            };
            match drafts {
                Some(drafts) => drafts.change(&key, kept, &mut deciding)?,
                None => kept.change(&key, &mut deciding)?,
            }
            made.ok_or_else(|| Problem("the store asked for no plan".to_owned()))
        })
        .await
    }

    /// Runs what may block where it holds up nobody else.
    async fn apart<T: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn Kept) -> std::result::Result<T, Problem> + Send + 'static,
    ) -> Result<T> {
        self.watch.still()?;
        let kept = Arc::clone(self.kept);
        match tokio::task::spawn_blocking(move || act(&*kept)).await {
            Ok(answer) => answer.map_err(|problem| Error::failed(problem.0)),
            Err(defect) => Err(Error::Trap(wasmtime::Error::new(defect))),
        }
    }

    /// The emit half of a call on one key.
    fn tell<T>(&mut self, key: &str, summary: &str, made: &Made<T>) -> Result<Change> {
        let Some(write) = &made.write else {
            return self.change(false, summary.to_owned(), None);
        };
        let readable = self
            .gate
            .grants()
            .name(Capability::StateRead, key)
            .is_allowed();
        // A diff shows nothing that may not be read.
        let diff = (self.diff && readable).then(|| {
            let after = match write {
                Write::Put(entry) => Some(&*entry.value),
                Write::Delete => None,
            };
            let before = plan::shown(made.before.as_ref().map(|entry| &*entry.value));
            diff(key, before.as_bytes(), plan::shown(after).as_bytes())
        });
        self.change(true, summary.to_owned(), diff.flatten())
    }

    fn change(&mut self, changed: bool, summary: String, diff: Option<String>) -> Result<Change> {
        if changed {
            let capability = Capability::StateWrite.name();
            self.gate
                .report
                .change(capability, &summary, diff.clone())?;
        }
        Ok(Change {
            changed,
            summary,
            diff,
        })
    }
}
