//! The one place that prints. What comes from a workflow is escaped here before it reaches a
//! terminal.
//!
//! Reading order: [`screen`] (standard output and its colours) → [`events`] (the thread that takes
//! a run's events) → [`text`] (events for people) with [`summary`] → [`json`] (events for programs) → [`progress`]; and
//! [`page`] (texts to read). What the program says of itself is [`screen`]'s too, or goes to [`journald`].

mod events;
mod journald;
mod json;
mod page;
mod progress;
mod screen;
mod summary;
mod text;

pub(crate) use events::Events;
pub(crate) use json::line as json_line;
pub(crate) use page::{shortened, wrapped};
pub(crate) use screen::{
    Paint, bytes, error, line, note, program, start_log, stderr_is_terminal, usage,
};
