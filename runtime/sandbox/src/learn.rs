//! Learn mode: what a run tried, and how calls are answered that nothing grants.

use std::sync::{Mutex, PoisonError};

use sloth_policy::{Call, Calls};

/// Collects the calls of a run. Shared by all of its steps.
#[derive(Debug, Default)]
pub struct Learner {
    calls: Mutex<Calls>,
    /// Answer what only looks truly, though nothing grants it.
    observe: bool,
}

/// How a call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    Granted,
    /// Nothing grants it, and it is only learned: it is answered as if nothing were there.
    Imagined,
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

    pub(crate) fn observes(&self) -> bool {
        self.observe
    }

    pub(crate) fn note(&self, call: Call) {
        self.calls().note(call);
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
