//! Check mode's memory beside files: what a run would have done to the machine, by noun.

use crate::host::{packages, users};

/// Shared by all steps of a run; empty outside of check mode.
#[derive(Debug, Default)]
pub(crate) struct Foreseen {
    pub(crate) packages: packages::Planned,
    pub(crate) users: users::Planned,
}
