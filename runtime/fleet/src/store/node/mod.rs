//! What one node keeps for itself, in one file of its data folder.
//!
//! Reading order: [`database`] (the file, its schema, and what can be wrong with it) → [`state`]
//! (values under keys) → [`stack`] (what runs leave for those after them).

mod database;
mod stack;
mod state;

pub use database::Database;
pub use stack::Stack;
