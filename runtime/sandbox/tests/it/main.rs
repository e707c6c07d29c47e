//! One binary for all integration tests of the sandbox: it links once.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail, and sets its own stage"
)]

mod answers;
mod clock;
mod confine;
mod environment;
mod events;
mod facts;
mod files;
mod goroutine;
mod guest;
mod header;
mod http;
mod limits;
mod links;
mod loading;
mod log;
mod lua;
mod modules;
mod parts;
mod process;
mod random;
mod secrets;
mod server;
mod stack;
mod state;
mod types;
mod verbs;
mod world;
