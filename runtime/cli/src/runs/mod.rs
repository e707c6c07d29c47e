//! `runs`: what was run, and how it went.
//!
//! Reading order: [`options`] (what can be asked) → [`source`] (who knows) → [`list`], [`show`], [`logs`]; [`change`] (of a
//! master's runs only).

mod change;
mod list;
mod logs;
mod options;
mod show;
mod source;

pub(crate) use options::{RunsOptions, history, outputs, runs};
