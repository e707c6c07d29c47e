//! What outlives a run.

pub mod node;
