//! `process`: programs of the node, each confined to what the step itself may do.
//!
//! Reading order: [`view`] (the call) → [`command`] (from what was asked to a program and its
//! arguments) → [`reach`] (what the program may touch, from the grants) → [`chunks`] (its output).

mod chunks;
mod command;
mod reach;
mod view;

pub(crate) use view::{Process, ProcessView};
