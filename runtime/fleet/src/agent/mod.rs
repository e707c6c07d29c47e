//! The agent: runs steps on its machine for a master that it dials, under a policy of its own. Nothing that the
//! master sends widens what that grants.
//!
//! Reading order: [`config`] (what it is started with) → [`agent`] (the whole) → `session` (the link, and what
//! comes down it) with `link`, `deliver` (what goes up) and `transfer` (contents) → `call` (one call from
//! assignment to end) → `runs` and `run` (what calls are part of) → `plans`, `policies` and `secrets` → `report` (what is
//! told) → [`port`] (what the agent answers itself, its `visitors`), `watched` (what who watches sees of it) and [`notify`] (what
//! systemd is told).

#[expect(clippy::module_inception, reason = "the whole of the room")]
mod agent;
mod call;
mod config;
mod deliver;
mod link;
pub mod notify;
mod plans;
mod policies;
pub mod port;
mod report;
mod run;
mod runs;
mod secrets;
mod session;
mod transfer;
mod visitors;
mod watched;

pub use agent::{Agent, Status};
pub use config::{Config, Dial, Dialled, Granting, Only, Patience, Plain, ReadPolicy};
