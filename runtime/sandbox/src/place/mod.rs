//! Paths: the one room where they are resolved and acted on, through held descriptors.
//!
//! Reading order: [`name`] (from words to an absolute path) → [`resolve`] (from a path to a held
//! folder and a name in it) → [`observe`] (what stands there) → [`act`] (the few effects there are)
//! → [`planned`] (check mode's memory of what would have been done) → [`tree`] (all of it as one
//! step may use it).

pub(crate) mod act;
pub(crate) mod name;
pub(crate) mod observe;
pub(crate) mod planned;
pub(crate) mod resolve;
pub(crate) mod tree;

pub(crate) use observe::{Observed, enter};
pub(crate) use resolve::{Place, Root};
pub(crate) use tree::{Access, Permitted, Tree};
