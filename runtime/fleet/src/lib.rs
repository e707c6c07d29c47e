//! What a node keeps beyond the end of a run, and how nodes speak to each other.
//!
//! Reading order: [`store`] (all SQL) → [`wire`] (all types of the contract) → [`agent`] (runs steps for a master).

pub mod agent;
pub mod store;
pub mod wire;
