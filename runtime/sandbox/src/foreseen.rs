//! Check mode's memory: what runs would have done to the machine, by noun.

use std::sync::Arc;

use crate::host::state::Drafts;
use crate::host::{packages, users};
use crate::place::planned::Planned;

/// Shared by all steps of a run, and by the runs behind it.
#[derive(Clone, Debug, Default)]
pub struct Foreseen {
    pub(crate) files: Arc<Planned>,
    pub(crate) state: Arc<Drafts>,
    pub(crate) packages: Arc<packages::Planned>,
    pub(crate) users: Arc<users::Planned>,
}
