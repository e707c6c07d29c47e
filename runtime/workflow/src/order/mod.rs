//! What must come before what: names become indices, and circles are refused.
//!
//! Reading order: [`artifacts`] (who leaves what is consumed) → [`resolve`] (names become indices)
//! → `cycle` → `nearest` (what a misspelt name may have meant).

pub mod artifacts;

mod cycle;
mod nearest;
mod resolve;

pub use artifacts::Source;
pub use resolve::{Graph, resolve};
