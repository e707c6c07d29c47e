//! The agent against a master that does what the test says.

mod attacker;
mod calls;
mod cancel;
mod full;
mod keeping;
mod link;
mod master;
mod outbox;
mod refused;
mod world;
