//! Which step goes to which agent, and when.
//!
//! Reading order: [`registry`] (which agents are there) → [`waiting`] (who waits for which call) → [`emitter`] (a run's
//! own events into the store) → [`insist`] (what waits for a store that cannot be used now) → [`lock`] (which run may
//! begin) → [`vault`] (which secrets a step is handed) → [`targets`] (how many are busy) → [`dispatch`] (a step on a target) with [`errand`] (a call that
//! is out) and [`burden`] (how much it may be given) → [`replay`] (a run that comes back to where it was) → [`request`], [`earlier`] and [`course`] (a run from
//! its beginning to its end, also after a restart).

mod burden;
pub(crate) mod course;
pub(crate) mod dispatch;
mod earlier;
mod emitter;
mod errand;
pub(crate) mod insist;
mod lock;
pub(crate) mod registry;
pub(crate) mod replay;
pub(crate) mod request;
mod targets;
pub(crate) mod vault;
pub(crate) mod waiting;
