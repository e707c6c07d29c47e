//! Names that strangers choose, as values of labels: so many are kept apart, and the rest is one.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use sloth_workflow::Untrusted;

/// What stands for all names for which there is no room.
pub(super) const OTHER: &str = "other";

/// Longest name that is kept apart, in bytes.
const LONGEST: usize = 128;

/// The names that are kept apart: the first ones that came.
#[derive(Debug)]
pub(super) struct Names {
    known: Mutex<HashSet<String>>,
    most: usize,
}

impl Names {
    pub(super) fn at_most(most: usize) -> Self {
        Self {
            known: Mutex::default(),
            most,
        }
    }

    /// Whether something is one of those that are kept apart.
    pub(super) fn admits(&self, name: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(name) {
            return true;
        }
        let room = known.len() < self.most;
        if room {
            known.insert(name.to_owned());
        }
        room
    }
}

/// A name as a label's value; none for one that is too long.
pub(super) fn label(name: &Untrusted) -> Option<String> {
    // Escaped it is longer still, and what is long is not looked at.
    if name.raw().len() > LONGEST {
        return None;
    }
    Some(name.escaped()).filter(|name| name.len() <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_names_are_kept_apart_and_no_more() {
        let names = Names::at_most(2);
        assert!(names.admits("a") && names.admits("b"));
        assert!(!names.admits("c"));
        assert!(names.admits("a") && names.admits("b"));
    }

    #[test]
    fn a_name_that_is_too_long_is_no_label() {
        assert_eq!(label(&"deploy".into()).as_deref(), Some("deploy"));
        assert_eq!(label(&"x".repeat(129).into()), None);
        assert_eq!(label(&"\u{1b}".repeat(100).into()), None);
    }
}
