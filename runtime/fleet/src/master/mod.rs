//! The master: lets in who may, keeps runs, gives their steps to agents, and tells operators what happens.
//!
//! Reading order, of who comes in: [`caller`] (who asks) → [`allowlist`] (what each may) → [`registrar`] (what is known
//! of tokens and certificates; [`known`] is the store as one) → [`limits`] and [`connection`] (a connection and how many
//! there may be) → [`listener`] (how they come in) → [`revocations`] and [`ending`] (how they are put out) → [`guard`]
//! (each call) → [`doors`] (all of it) → [`enrolment`], [`tokens`] and [`admin`] (how one becomes a caller).
//!
//! Of what they come for: [`settings`] → [`registry`] (which agents are there) → [`waiting`] (who waits for which call) →
//! [`emitter`] (a run's own events into the store) → [`dispatch`] (a step on a target) → [`request`], [`earlier`] and [`course`] (a run
//! from its beginning to its end, also after a restart) → [`session`] and [`contents`] (how agents speak to it) →
//! [`operators`] with [`runs`] and [`agents`] (how people do) → [`serve`] (the whole).

pub mod admin;
mod agents;
pub mod allowlist;
pub mod caller;
pub mod connection;
mod contents;
mod core;
mod course;
mod dispatch;
pub mod doors;
mod earlier;
mod emitter;
mod ending;
pub mod enrolment;
mod guard;
mod known;
pub mod limits;
mod listener;
mod operators;
pub mod registrar;
mod registry;
mod request;
pub mod revocations;
mod runs;
mod serve;
mod session;
mod settings;
pub mod tokens;
mod waiting;

pub use allowlist::Rule;
use core::Core;

pub use caller::{Caller, Proof};
pub use doors::{Doors, Security};
pub use enrolment::Enrolment;
pub use limits::Limits;
pub use registrar::Registrar;
pub use revocations::Revocations;
pub use serve::{Config, Failed, Master};
pub use settings::Settings;
pub use tokens::Tokens;

/// The target that is the operator's own machine.
pub const LOCAL: &str = "local";
