//! `state`: values that the node keeps under keys.
//!
//! Reading order: [`plan`] (what a call comes to, apart from any store) → [`drafts`] (check mode's
//! memory) → [`view`] (the calls).

mod drafts;
mod plan;
mod view;

pub(crate) use drafts::Drafts;
pub(crate) use view::{State, StateView};
