//! What every room of a master shares.

use std::sync::Arc;

use super::probing::Probes;
use super::settings::Settings;
use super::watched::Stage;
use crate::master::access::revocations::Revocations;
use crate::master::scheduling::course::Courses;
use crate::master::scheduling::registry::Registry;
use crate::master::scheduling::vault::Vault;
use crate::master::scheduling::waiting::Waiting;
use crate::master::services::uploads::Uploads;
use crate::store::master::Store;
use crate::telemetry::Telemetry;

/// What every room of a master shares.
pub(super) struct Core {
    pub(super) store: Arc<Store>,
    pub(super) settings: Settings,
    pub(super) registry: Arc<Registry>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) courses: Courses,
    /// What steps on agents may be handed.
    pub(super) vault: Vault,
    /// Which agents answer on their own port.
    pub(super) probes: Probes,
    /// Who sends contents now.
    pub(super) uploads: Uploads,
    pub(super) telemetry: Telemetry,
    pub(super) stage: Stage,
    /// Who is put out.
    pub(super) revocations: Revocations,
}
