//! The agent against a master that does what the test says.

mod calls;
mod cancel;
mod keeping;
mod link;
mod master;
mod outbox;
mod refused;
mod world;
