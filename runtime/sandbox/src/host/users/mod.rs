//! `users`: accounts and groups of the node, through the system's own tools.
//!
//! Reading order: [`view`] (the calls) → [`observe`] (who is there) → [`plan`] (pure: what would change, and
//! with which tools) → [`names`] (what may be a name, a path, a hash) → [`permit`] (what a change needs beside
//! its verb) → [`apply`] (the tools, one after the other) → [`planned`] (what check mode remembers)
//! and [`imagined`] (what is answered while a run is only learned).

mod apply;
mod groups;
mod imagined;
mod names;
mod observe;
mod permit;
mod plan;
mod planned;
mod view;

pub(crate) use observe::list as list_all;
pub(crate) use planned::Planned;
pub(crate) use view::{Users, UsersView};
