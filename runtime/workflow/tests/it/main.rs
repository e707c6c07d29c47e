//! The scheduler over a made-up executor and virtual time.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod attempts;
mod data;
mod failure;
mod frame;
mod out_of_time;
mod placement;
mod properties;
mod scheduler;
mod world;
