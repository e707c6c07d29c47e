//! The master: keeps runs, gives their steps to agents, and tells operators what happens.
//!
//! Reading order: [`settings`] → `registry` (who is there) → `waiting` (who waits for which call) → `emitter` (a run's own
//! events into the store) → `dispatch` (a step on a target) → `course` (a run from its beginning to its end, also after a
//! restart) → `session` (how agents speak to it) → `operators` (how people do) → `serve`.

mod course;
mod dispatch;
mod emitter;
mod operators;
mod registry;
mod serve;
mod session;
mod settings;
mod waiting;

use std::sync::Arc;

use crate::store::master::Store;

pub use serve::{Master, serve};
pub use settings::Settings;

/// The target that is the operator's own machine.
pub const LOCAL: &str = "local";

/// What every room of a master shares.
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) registry: Arc<registry::Registry>,
    pub(crate) waiting: Arc<waiting::Waiting>,
    pub(crate) courses: course::Courses,
}
