//! What the master answers: [`session`] with [`contents`] ([`uploads`]) to agents, [`operators`] with [`runs`] and [`agents`] to
//! people. What follows from what was kept is [`unbroken`].

mod agents;
mod contents;
pub(crate) mod operators;
mod runs;
pub(crate) mod session;
mod unbroken;
pub(crate) mod uploads;
