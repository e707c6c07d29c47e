//! The secrets of a node, sealed in one file.
//!
//! `secrets.sealed` holds each value sealed with XChaCha20-Poly1305 under a key of its own file, its
//! name as associated data, so that no value passes for another's. Names, and when each was set, are
//! not sealed.
//!
//! Reading order: [`store`] (what is asked) → [`sealed`] (the file) → [`key`] (the key's file) →
//! [`folder`] (writing either) → [`error`].

mod error;
mod folder;
mod key;
mod sealed;
mod store;

pub use error::Error;
pub use key::KeyPlace;
pub use store::{Listed, Store};
