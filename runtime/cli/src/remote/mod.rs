//! What is asked of a master.
//!
//! Reading order: [`bundle`] (a workflow on its way there) → [`options`] and [`delegate`] (`run --delegate-to`) → [`watch`] (a run's events as
//! they come) → [`agents`] (`agent list` and the like) → [`exec`] (`agent exec`) →
//! [`heads`] (`audit verify --against-master`).

pub(crate) mod agents;
mod bundle;
pub(crate) mod delegate;
pub(crate) mod exec;
pub(crate) mod heads;
mod here;
pub(crate) mod options;
pub(crate) mod secrets;
pub(crate) mod watch;
