//! The agent against a master that does what the test says.

mod calls;
mod master;
mod world;
