//! Learn mode: what a run tried, and how calls are answered that nothing grants.

use std::sync::{Arc, Mutex, PoisonError};

use sloth_policy::{Call, Calls, Capability};

use crate::host::error::{Error, Result};
use crate::secrecy::Opened;

/// Collects the calls of a run. Shared by all of its steps.
#[derive(Debug, Default)]
pub struct Learner {
    calls: Mutex<Calls>,
    /// Answer what only looks truly, though nothing grants it.
    observe: bool,
}

/// How a call goes on.
#[must_use = "what is only imagined must not happen"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    Granted,
    /// Nothing grants it, and it is only learned: it is answered as if nothing were there.
    Imagined,
}

/// One step's way to the learner.
#[derive(Clone)]
pub(crate) struct Notes {
    learner: Arc<Learner>,
    /// What must not stand in a policy.
    opened: Option<Arc<Opened>>,
}

impl Learner {
    /// With `observe`, what only looks is answered truly: for files that are trusted.
    pub fn new(observe: bool) -> Self {
        Self {
            observe,
            ..Self::default()
        }
    }

    /// The policy that allows what was tried, and nothing else.
    pub fn policy(&self) -> String {
        self.calls().policy()
    }

    /// What was tried.
    pub fn tried(&self) -> Calls {
        self.calls().clone()
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    pub(crate) fn new(learner: Arc<Learner>, opened: Option<Arc<Opened>>) -> Self {
        Self { learner, opened }
    }

    pub(crate) fn observes(&self) -> bool {
        self.learner.observe
    }

    /// A secret in a call stands in the policy by its name; where it is written, others may read.
    pub(crate) fn note(&self, call: Call) {
        let call = match &self.opened {
            Some(opened) => call.with_texts(|text| opened.redacted(text)),
            None => call,
        };
        self.learner.calls().note(call);
    }
}

impl Permit {
    /// Imagined as soon as one of two is.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Granted { other } else { self }
    }

    /// For what has no answer but the true one: what is only imagined is not there.
    pub(crate) fn or_absent(self, capability: Capability, subject: &str) -> Result<()> {
        match self {
            Self::Granted => Ok(()),
            Self::Imagined => Err(absent(capability, subject)),
        }
    }

    /// For a part of a change: check mode foretells it either way, and outside it none is imagined.
    #[expect(clippy::unused_self, reason = "it says that a permit was thought of")]
    pub(crate) fn or_foretold(self) {}
}

/// How a call is answered that is only learned: as if what it is about were not there.
pub(crate) fn absent(capability: Capability, subject: &str) -> Error {
    let what = match capability.noun() {
        "files" => "file",
        "process" => "program",
        "http" => "server",
        "state" => "key",
        noun => noun.strip_suffix('s').unwrap_or(noun),
    };
    let subject = sloth_policy::escape::visible(subject);
    Error::not_found(format!(
        "{what} not found: {subject} ({capability} is not granted and only learned)"
    ))
}
