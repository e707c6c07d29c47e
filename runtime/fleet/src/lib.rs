//! What a node keeps beyond the end of a run, and how nodes speak to each other.
//!
//! Reading order: [`store`] (all SQL) → [`wire`] (all types of the contract) → [`pki`] (who is who) → [`agent`] (runs
//! steps for a master) → [`master`] (gives them out, and lets nobody else in) → [`telemetry`] (what both tell of
//! themselves).

pub mod agent;
pub mod master;
pub mod pki;
pub mod store;
pub mod telemetry;
pub mod wire;
