//! What one node keeps for itself in its data folder.
//!
//! Reading order: [`database`] (one file, its schema, and what can be wrong with it) → [`state`]
//! (values under keys) → [`stack`] (what runs leave for those after them) → [`secrets`] (sealed, in a
//! file of their own) → [`audit`] (what steps did) → [`locks`] (which runs exclude each other).

#[expect(
    clippy::disallowed_methods,
    reason = "the node's own folder, not a step's path"
)]
pub mod audit;
mod database;
pub mod locks;
#[expect(
    clippy::disallowed_methods,
    reason = "the node's own files, not a step's paths"
)]
pub mod secrets;
mod stack;
mod state;

pub use database::Database;
pub use stack::Stack;
