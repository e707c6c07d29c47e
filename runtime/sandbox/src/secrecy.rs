//! Which secrets a run has opened, and what therefore must not be told to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::host::error::{Error, Result};
use crate::ports::Secrets;
use crate::redact::{self, Matcher};

/// Most bytes that the values of one run's secrets have together: looking for them takes memory.
const MOST: usize = 256 << 10;

/// A value, wiped when nobody holds it any more.
pub(crate) type Value = Arc<Zeroizing<String>>;

/// The secrets that the steps of one run have opened.
#[derive(Debug)]
pub(crate) struct Opened {
    store: Arc<dyn Secrets>,
    known: RwLock<Known>,
    /// Held by who adds a value: getting ready to look for it takes its time, in which others go on.
    adding: Mutex<()>,
}

#[derive(Default)]
struct Known {
    values: BTreeMap<String, Value>,
    /// Of all of them.
    matcher: Option<Arc<Matcher>>,
}

impl Opened {
    /// None yet, of this store.
    pub(crate) fn of(store: Arc<dyn Secrets>) -> Self {
        Self {
            store,
            known: RwLock::default(),
            adding: Mutex::default(),
        }
    }

    /// The value of a secret; from now on nothing that leaves the run tells it. Whoever asks has been
    /// permitted to.
    async fn value(self: &Arc<Self>, name: &str) -> Result<Value> {
        if let Some(value) = self.read(|known| known.values.get(name).cloned()) {
            return Ok(value);
        }
        let (own, asked) = (Arc::clone(self), name.to_owned());
        // Reading the store takes its time, and so does getting ready to look for a long value.
        let opened = tokio::task::spawn_blocking(move || own.open(&asked));
        opened.await.map_err(|error| Error::Trap(error.into()))?
    }

    fn open(&self, name: &str) -> Result<Value> {
        let value = self
            .store
            .value(name)
            .map_err(|error| Error::failed(format!("failed to open the secret `{name}`: {error}")))?
            .ok_or_else(|| {
                Error::invalid(format!(
                    "there is no secret `{name}` on this node; set it there with: sloth-runner \
                     secret set {name}"
                ))
            })?;
        self.add(name, Arc::new(value))
    }

    fn add(&self, name: &str, value: Value) -> Result<Value> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values = self.read(|known| known.values.clone());
        if let Some(value) = values.get(name) {
            return Ok(Arc::clone(value));
        }
        let together: usize = values.values().map(|value| value.len()).sum();
        if together + value.len() > MOST {
            return Err(Error::failed(format!(
                "failed to open the secret `{name}`: a run uses at most {} KiB of secrets",
                MOST >> 10
            )));
        }
        values.insert(name.to_owned(), Arc::clone(&value));
        let matcher = matcher(&values, |_| true);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known { values, matcher };
        Ok(value)
    }

    /// What must not leave the run; none while nothing is opened.
    pub(crate) fn matcher(&self) -> Option<Arc<Matcher>> {
        self.read(|known| known.matcher.clone())
    }

    /// A text as it may leave the run.
    pub(crate) fn redacted(&self, text: String) -> String {
        match self.matcher() {
            Some(matcher) => redact::redacted(&matcher, text),
            None => text,
        }
    }

    fn read<T>(&self, of: impl FnOnce(&Known) -> T) -> T {
        of(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one instance may know of its run's secrets.
pub(crate) struct Secrecy {
    opened: Arc<Opened>,
    /// Names whose values the guest has been given.
    revealed: BTreeSet<String>,
    /// What the guest must not be told, and of how many opened and revealed it was made.
    kept: (usize, usize, Option<Arc<Matcher>>),
}

impl Secrecy {
    pub(crate) fn of(opened: Arc<Opened>) -> Self {
        Self {
            opened,
            revealed: BTreeSet::new(),
            kept: (0, 0, None),
        }
    }

    /// A value for the host's side of a call. Whoever asks has been permitted to.
    pub(crate) async fn value(&self, name: &str) -> Result<Value> {
        self.opened.value(name).await
    }

    /// A value for the guest, who may be told of it from now on. Whoever asks has been permitted to.
    pub(crate) async fn reveal(&mut self, name: &str) -> Result<Value> {
        let value = self.opened.value(name).await?;
        self.revealed.insert(name.to_owned());
        Ok(value)
    }

    /// What must not leave the run.
    pub(crate) fn leaving(&self) -> Option<Arc<Matcher>> {
        self.opened.matcher()
    }

    /// What must not come back to the guest: all that is opened, but for what it was given.
    pub(crate) fn returning(&mut self) -> Option<Arc<Matcher>> {
        if self.revealed.is_empty() {
            return self.leaving();
        }
        let revealed = &self.revealed;
        let kept = &mut self.kept;
        let opened = self.opened.read(|known| known.values.len());
        if (kept.0, kept.1) != (opened, revealed.len()) {
            let values = self.opened.read(|known| known.values.clone());
            let made = matcher(&values, |name| !revealed.contains(name));
            *kept = (values.len(), revealed.len(), made);
        }
        kept.2.clone()
    }
}

fn matcher(
    values: &BTreeMap<String, Value>,
    wanted: impl Fn(&str) -> bool,
) -> Option<Arc<Matcher>> {
    let secrets = values
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Matcher::of(secrets).map(Arc::new)
}

impl std::fmt::Debug for Known {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.values.keys()).finish()
    }
}
