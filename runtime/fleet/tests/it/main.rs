//! One binary for all integration tests of what a node keeps and says to others: it
//! links once.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail, and sets its own stage"
)]

mod agent;
mod audit;
mod audit_at_work;
mod audit_damage;
mod audit_known;
mod crash;
mod node;
mod operators;
mod peers;
mod secrets;
mod store;
mod trust;
mod wire;
