//! What workflow files can call: the modules of the library, as the comments above its functions
//! describe them.
//!
//! Reading order: [`sources`] (the library's files) → [`comments`] (what stands above their
//! functions) → [`purposes`] (a line for what has no file of its own) → [`modules`] (all of it by
//! module) → [`shape`] (the parameters of a call) → [`markdown`] and [`types`] (the same as a guide
//! and as annotations for editors).

mod comments;
mod markdown;
mod modules;
mod purposes;
mod shape;
mod sources;
mod types;

pub(crate) use markdown::markdown;
pub(crate) use modules::{Module, Status, modules};
pub(crate) use types::types;
