//! The master's side: who comes in, and what they may.
//!
//! Reading order: [`caller`] (who asks) → [`allowlist`] (what each may) → [`registrar`] (what is known of tokens and
//! certificates) → [`limits`] and [`connection`] (a connection and how many there may be) → [`listener`] (how they come
//! in) → [`revocations`] and [`ending`] (how they are put out) → [`guard`] (each call) → [`doors`] (all of it) →
//! [`enrolment`], [`tokens`] and [`admin`] (how one becomes a caller).

pub mod admin;
pub mod allowlist;
pub mod caller;
pub mod connection;
pub mod doors;
mod ending;
pub mod enrolment;
mod guard;
pub mod limits;
mod listener;
pub mod registrar;
pub mod revocations;
pub mod tokens;

pub use allowlist::Rule;
pub use caller::{Caller, Proof};
pub use doors::{Doors, Security};
pub use enrolment::Enrolment;
pub use limits::Limits;
pub use registrar::Registrar;
pub use revocations::Revocations;
pub use tokens::Tokens;
