//! What the sandbox needs of others, as traits that it asks and somebody else answers: it knows no
//! database and no peer.

pub mod audit;
mod problem;
pub mod secrets;
pub mod stacks;
pub mod state;
mod timing;

pub use problem::Problem;
pub use secrets::Secrets;
pub use timing::Timing;
