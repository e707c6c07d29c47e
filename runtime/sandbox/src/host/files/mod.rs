//! `files`: reading and changing files and folders.
//!
//! Reading order: [`view`] (the calls), [`permit`] (what they have in common) → [`plan`] (pure: what would change) →
//! [`put`] (content and mode) →
//! [`walk`] (looking beneath a folder: list, glob) → [`many`] (calls that change more than one place) →
//! [`carry`] (artifacts) →
//! [`extract`], [`listing`] and [`unpack`] (archives), with [`archive`], [`tarred`] and [`entry`] (what they hold).

mod archive;
mod carry;
mod entry;
mod extract;
mod listing;
mod many;
mod metadata;
pub(super) mod mode;
mod permit;
pub(crate) mod plan;
mod put;
mod tarred;
mod unpack;
mod view;
mod walk;

pub(crate) use plan::diff;
pub(crate) use view::{Files, FilesView};
