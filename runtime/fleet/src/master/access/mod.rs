//! Who comes in, and what each may.
//!
//! Reading order: [`caller`] (who asks) → [`allowlist`] (what each may) → [`registrar`] (what is known of tokens and
//! certificates; [`known`] is the store as one) → [`limits`] and [`connection`] (a connection and how many there may
//! be) → [`listener`] (how they come in) → [`revocations`] and [`ending`] (how they are put out) → [`guard`] (each
//! call) → [`doors`] (all of it) → [`enrolment`], [`tokens`] and [`admin`] (how one becomes a caller).

pub mod admin;
pub mod allowlist;
pub mod caller;
pub mod connection;
pub mod doors;
mod ending;
pub mod enrolment;
mod guard;
pub(crate) mod known;
pub mod limits;
mod listener;
pub mod registrar;
pub mod revocations;
pub mod tokens;
