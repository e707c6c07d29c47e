//! What a node keeps.

pub mod store;
