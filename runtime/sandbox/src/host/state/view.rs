//! The view on the node's state that the guest's calls get, and what each call does.

use std::sync::Arc;
use std::time::SystemTime;

use sloth_policy::{Capability, Wildcard};
use wasmtime::component::HasData;

use super::drafts::Drafts;
use super::plan;
use crate::bindings::sloth::host::state::{self, Incremented, Number, Swapped};
use crate::bindings::sloth::host::types::Change;
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::host::files::diff;
use crate::learn::Permit;
use crate::ports::Problem;
use crate::ports::state::{Entry, Memory, State as Kept, Write};
use crate::trail::Pledge;
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

/// An intent on its way to where the change is made.
struct Pledged {
    pledge: Option<Pledge>,
    /// Why it could not be put on record, and so nothing was changed.
    refused: Option<Error>,
}

impl Pledged {
    fn of(pledge: Option<Pledge>) -> Self {
        Self {
            pledge,
            refused: None,
        }
    }

    /// Whether the change may be made.
    fn keep(&mut self) -> bool {
        if self.refused.is_none()
            && let Some(pledge) = &mut self.pledge
        {
            self.refused = pledge.keep().err();
        }
        self.refused.is_none()
    }
}

impl state::Host for StateView<'_> {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>> {
        let permit = self
            .gate
            .permit_name(Capability::StateRead, "state.get", &key)?;
        plan::key(&key)?;
        let drafts = self.drafts.cloned();
        let entry = self.apart(permit, move |kept| match drafts {
            Some(drafts) => drafts.get(&key, kept),
            None => kept.get(&key),
        });
        Ok(entry.await?.map(|entry| entry.value))
    }

    async fn keys(&mut self, pattern: String) -> Result<Vec<String>> {
        let (fits, permit) = self.pattern(Capability::StateRead, "state.keys", &pattern)?;
        let drafts = self.drafts.cloned();
        let found = self.apart(permit, move |kept| match drafts {
            Some(drafts) => Ok(drafts.keys(kept)?.into_iter().collect()),
            None => kept.keys(),
        });
        let mut keys: Vec<String> = found.await?;
        // What is imagined is the step's own.
        let all = permit == Permit::Imagined;
        keys.retain(|key| fits.matches(key) && (all || self.gate.sees(Capability::StateRead, key)));
        Ok(keys)
    }

    async fn set(&mut self, key: String, value: Vec<u8>, lifetime: Option<u64>) -> Result<Change> {
        let permit = self
            .gate
            .permit_name(Capability::StateWrite, "state.set", &key)?;
        plan::key(&key)?;
        let expires = plan::expiry(lifetime, SystemTime::now())?;
        let value = plan::canonical(&value)?;
        let desired = Entry { value, expires };
        let summary = format!("set state {key}");
        let made = self.make(permit, &key, &summary, move |observed| {
            ((), plan::set(observed, &desired))
        });
        let made = made.await?;
        self.tell(&key, &summary, &made)
    }

    async fn delete(&mut self, key: String) -> Result<Change> {
        let permit = self
            .gate
            .permit_name(Capability::StateWrite, "state.delete", &key)?;
        plan::key(&key)?;
        let summary = format!("delete state {key}");
        let made = self.make(permit, &key, &summary, |observed| {
            ((), plan::delete(observed))
        });
        let made = made.await?;
        self.tell(&key, &summary, &made)
    }

    async fn clear(&mut self, pattern: String) -> Result<Change> {
        let (fits, permit) = self.pattern(Capability::StateWrite, "state.clear", &pattern)?;
        let drafts = self.drafts.cloned();
        let sees = self.gate.sight(Capability::StateWrite);
        let pledge = self.pledge(&format!("clear state {pattern}"));
        let cleared = self.apart(permit, move |kept| {
            let mut pledged = Pledged::of(pledge);
            // What is imagined is the step's own.
            let all = permit == Permit::Imagined;
            let mut wanted = |key: &str| fits.matches(key) && (all || sees(key)) && pledged.keep();
            let cleared = match drafts {
                Some(drafts) => drafts.clear(kept, &mut wanted),
                None => kept.clear(&mut wanted),
            };
            Ok((pledged, cleared))
        });
        let (pledged, cleared) = cleared.await?;
        let count = self.redeem(pledged, cleared)?;
        let noun = if count == 1 { "key" } else { "keys" };
        self.change(
            count > 0,
            format!("clear state {pattern} ({count} {noun})"),
            None,
        )
    }

    async fn increment(&mut self, key: String, by: Number) -> Result<Incremented> {
        let permit = self.permit_both("state.increment", &key)?;
        let doing = format!("increment state {key}");
        let made = self.make(permit, &key, &doing, move |observed| match plan::increment(
            observed, by,
        ) {
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
        let permit = self.permit_both("state.compare-and-swap", &key)?;
        let form = |value: Option<Vec<u8>>| value.map(|bytes| plan::canonical(&bytes)).transpose();
        let (expected, new) = (form(expected)?, form(new)?);
        let summary = format!("swap state {key}");
        let made = self.make(permit, &key, &summary, move |observed| {
            plan::swap(observed, expected.as_deref(), new.as_deref())
        });
        let made = made.await?;
        let change = self.tell(&key, &summary, &made)?;
        let swapped = made.answer;
        Ok(Swapped { change, swapped })
    }
}

impl StateView<'_> {
    /// What tells of a value by changing it needs both grants.
    fn permit_both(&mut self, call: &str, key: &str) -> Result<Permit> {
        let write = self.gate.permit_name(Capability::StateWrite, call, key)?;
        let read = self.gate.permit_name(Capability::StateRead, call, key)?;
        plan::key(key)?;
        Ok(write.and(read))
    }

    /// Passes if any key is granted at all: what fits the pattern is then asked key by key.
    fn pattern(
        &mut self,
        capability: Capability,
        call: &str,
        pattern: &str,
    ) -> Result<(Wildcard, Permit)> {
        let permit = self.gate.permit_names(capability, call, pattern)?;
        Ok((plan::pattern(pattern)?, permit))
    }

    /// Observes, plans and applies as one; in check mode what would be applied is remembered. What is
    /// intended is put on record inside, since only there is known whether anything is to be done.
    async fn make<T: Send + 'static>(
        &mut self,
        permit: Permit,
        key: &str,
        doing: &str,
        plan: impl Fn(Option<&Entry>) -> (T, Option<Write>) + Send + 'static,
    ) -> Result<Made<T>> {
        let (key, drafts) = (key.to_owned(), self.drafts.cloned());
        let pledge = self.pledge(doing);
        let made = self.apart(permit, move |kept| {
            let mut pledged = Pledged::of(pledge);
            let mut made = None;
            let mut deciding = |observed: Option<&Entry>| {
                let (answer, write) = plan(observed);
                let write = write.filter(|_| pledged.keep());
                made = Some(Made {
                    answer,
                    before: observed.cloned(),
                    write: write.clone(),
                });
                write
            };
            let changed = match drafts {
                Some(drafts) => drafts.change(&key, kept, &mut deciding),
                None => kept.change(&key, &mut deciding),
            };
            let made = changed.and_then(|()| {
                made.ok_or_else(|| Problem("the store asked for no plan".to_owned()))
            });
            Ok((pledged, made))
        });
        let (pledged, made) = made.await?;
        self.redeem(pledged, made)
    }

    fn pledge(&self, doing: &str) -> Option<Pledge> {
        let capability = Capability::StateWrite.name();
        self.gate.report.pledge(capability, doing)
    }

    /// What came of a pledge and of what it was given for.
    fn redeem<T>(&mut self, pledged: Pledged, made: std::result::Result<T, Problem>) -> Result<T> {
        self.gate.report.kept(pledged.pledge.as_ref());
        match pledged.refused {
            Some(refused) => Err(refused),
            None => made.map_err(|problem| Error::failed(problem.0)),
        }
    }

    /// What the node keeps; nothing, where that is only imagined.
    fn source(&self, permit: Permit) -> Arc<dyn Kept> {
        match permit {
            Permit::Granted => Arc::clone(self.kept),
            Permit::Imagined => Arc::<Memory>::default(),
        }
    }

    /// Runs what may block where it holds up nobody else.
    async fn apart<T: Send + 'static>(
        &self,
        permit: Permit,
        act: impl FnOnce(&dyn Kept) -> std::result::Result<T, Problem> + Send + 'static,
    ) -> Result<T> {
        self.watch.still()?;
        let kept = self.source(permit);
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
        let readable = self.gate.sees(Capability::StateRead, key);
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
