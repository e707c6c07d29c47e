//! One binary for all integration tests of the sandbox: it links once.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail, and sets its own stage"
)]

mod clock;
mod confine;
mod environment;
mod facts;
mod files;
mod goroutine;
mod goroutine_signals;
mod guest;
mod language;
mod limits;
mod links;
mod loading;
mod log;
mod long_calls;
mod lua;
mod modules;
mod parts;
mod process;
mod random;
mod types;
mod verbs;
mod world;
