//! `packages`: packages of the node, through its own package manager.
//!
//! Reading order: [`view`] (the calls) → [`change`] (what becomes of a change) → [`plan`] (pure: what is left
//! to be done, and what it comes to) → [`manager`] (which manager) → [`apt`], [`dnf`], [`nix`] (one each: its names,
//! its words, what it prints) → [`names`] (what may be a name) → [`lock`] (two managers at once) →
//! [`planned`] (what check mode remembers) and [`imagined`] (what is answered while a run is only learned).

mod apt;
mod change;
mod dnf;
mod imagined;
mod lock;
mod manager;
mod names;
mod nix;
mod plan;
mod planned;
mod view;

pub(crate) use manager::list as list_all;
pub(crate) use planned::Planned;
pub(crate) use view::{Packages, PackagesView};
