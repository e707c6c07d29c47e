//! Plugins: components of others that add functions, and what is done with them.
//!
//! Reading order: [`shelf`] (where they lie) → [`prepared`] (compiled and linked) with [`offer`] (what one
//! offers) → [`library`] (all of a process) → [`running`] (one at work in a step) with [`state`] (what it may
//! reach) → [`shape`], [`lower`], [`lift`] (types and values) with [`handles`] → [`inspect`] (for operators) and [`pack`] (for
//! authors).

mod handles;
mod inspect;
mod library;
mod lift;
mod lower;
mod offer;
mod pack;
mod prepared;
mod running;
mod shape;
pub mod shelf;
mod state;

pub use inspect::{Inspected, inspect};
pub use pack::pack;
pub use prepared::MOST_BYTES;

pub(crate) use library::{Carried, Library, Wanted, base};
pub(crate) use prepared::Prepared;
pub(crate) use running::{Answer, Running};
use shape::Shape;
pub(crate) use state::State;

#[cfg(test)]
mod tests;
