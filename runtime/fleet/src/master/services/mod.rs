//! What the master answers: [`session`] with [`contents`] ([`uploads`]) to agents, [`operators`] with [`runs`] and [`agents`] to people.

mod agents;
mod contents;
pub(crate) mod operators;
mod runs;
pub(crate) mod session;
pub(crate) mod uploads;
