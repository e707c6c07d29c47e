//! `files`: reading and changing files and folders.
//!
//! Reading order: this file (the view and its methods) → [`plan`] (pure: what would change) →
//! [`many`] (calls that reach beneath a folder: glob, remove, move) → [`carry`] (artifacts).

mod carry;
mod many;
mod metadata;
pub(crate) mod plan;
mod view;

pub(crate) use view::{Files, FilesView};
