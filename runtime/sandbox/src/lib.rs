//! Runs workflow steps in a WebAssembly component that can reach nothing but the host functions of
//! `wit/`, each held against a policy that denies by default.
//!
//! This crate knows no network peer and no database. What becomes of events is up to the sink it is
//! given.
//!
//! Reading order: [`sandbox`] (one per process) → [`session`] (one per run) → [`context`] (one per
//! instance) → [`gate`] (permit) → [`host`] (one file per noun) → [`place`] (paths) and [`confine`]
//! (children) → [`plugin`] (components of others) → [`secrecy`] and [`redact`] (secrets) → [`trail`] with [`looks`], and [`learn`] (what is kept of calls) → [`ports`]
//! (what others do for this crate) → [`ground`], [`scratch`], [`clearing`], [`artifacts`] (folders of steps and runs)
//! → [`engine`], [`artefact`], [`shipped`], [`meter`], [`watch`] (limits and their upkeep).

mod accounts;
mod artefact;
#[expect(
    clippy::disallowed_methods,
    reason = "the node's own folder, not a step's path"
)]
mod artifacts;
mod bindings;
mod call;
mod clearing;
#[expect(
    clippy::disallowed_methods,
    reason = "the one room where children start"
)]
pub mod confine;
mod context;
mod descent;
mod engine;
mod failure;
mod foreseen;
mod gate;
#[expect(
    clippy::disallowed_methods,
    reason = "the node's own folder, not a step's path"
)]
mod ground;
mod host;
mod interrupt;
mod learn;
mod looks;
#[doc(hidden)]
pub mod measure;
mod meter;
mod node;
mod place;
pub mod plugin;
pub mod ports;
mod redact;
mod report;
mod sandbox;
mod scratch;
mod seat;
mod secrecy;
mod session;
mod shipped;
mod trail;
mod watch;

pub use accounts::user_name;
pub use artefact::Origin;
pub use failure::{Failure, Left};
pub use foreseen::Foreseen;
pub use host::facts::known as known_facts;
pub use learn::Learner;
pub use node::{Node, Web};
pub use report::Sink;
pub use sandbox::{Sandbox, never};
pub use seat::Seat;
pub use session::{Session, Setup, Witness, identity};
pub use shipped::precompile;
