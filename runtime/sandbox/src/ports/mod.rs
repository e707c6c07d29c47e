//! What the sandbox needs of others, as traits: it knows no database and no peer.

mod problem;
pub mod stacks;
pub mod state;

pub use problem::Problem;
