//! `process`: programs of the node, each confined to what the step itself may do.
//!
//! Reading order: [`view`] (the calls) → [`permit`] with [`command`] (from what was asked to a program
//! and its arguments) and [`reach`] (what it may touch, from the grants) → [`programs`] (those that run)
//! → [`chunks`] and [`captured`] (their output and end) and [`hint`] (what one
//! that failed may have lacked). [`tools`] is what other nouns start programs with.

mod captured;
mod chunks;
mod command;
mod hint;
mod permit;
mod programs;
mod reach;
mod tools;
mod view;

pub(crate) use command::look_up;
pub(crate) use permit::permit_command;
pub(crate) use programs::Programs;
pub(crate) use tools::{Said, Tool, Tools};
pub(crate) use view::{Process, ProcessView};
