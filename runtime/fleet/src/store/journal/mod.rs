//! What an agent keeps for its master: which calls it began and how they ended, everything that is yet to be
//! delivered, and the contents that it was sent.
//!
//! Reading order: [`journal`] (what can be asked) → `file` (one file and its schema) → `writer` (the thread
//! that writes) → `calls` and `outbox` (the two tables) → [`contents`] (files by digest) and
//! [`Passing`] (the folder of a session that lasts for one run).

mod calls;
#[expect(
    clippy::disallowed_methods,
    reason = "the node's own folder, not a step's path"
)]
pub mod contents;
mod file;
#[expect(
    clippy::module_inception,
    reason = "the room is named for what it holds"
)]
mod journal;
mod outbox;
#[expect(
    clippy::disallowed_methods,
    reason = "the node's own folder, not a step's path"
)]
mod passing;
mod writer;

pub use contents::{Content, Contents, Incoming};
pub(crate) use file::fresh;
pub use journal::{Bounds, Call, Found, Item, Journal, What};
pub use passing::Passing;
