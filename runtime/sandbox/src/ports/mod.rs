//! What the sandbox needs of others, as traits: it knows no database and no peer.

pub mod audit;
