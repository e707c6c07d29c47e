//! What every room of a master shares.

use std::sync::Arc;

use super::course::Courses;
use super::registry::Registry;
use super::revocations::Revocations;
use super::settings::Settings;
use super::waiting::Waiting;
use crate::store::master::Store;

/// What every room of a master shares.
pub(super) struct Core {
    pub(super) store: Arc<Store>,
    pub(super) settings: Settings,
    pub(super) registry: Arc<Registry>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) courses: Courses,
    /// Who is put out.
    pub(super) revocations: Revocations,
}
