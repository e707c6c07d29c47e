//! What must come before what: names become indices, and circles are refused.
//!
//! Reading order: [`artifacts`] (who leaves what is consumed) → [`resolve`] → `cycle` → `nearest`
//! (what a misspelt name may have meant).

pub mod artifacts;
pub mod resolve;

mod cycle;
mod nearest;

pub use artifacts::Source;
pub use resolve::{Graph, resolve};
