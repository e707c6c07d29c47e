//! One binary for all integration tests of the sandbox: it links once.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail, and sets its own stage"
)]

mod answers;
mod clock;
mod confine;
mod crowd;
mod environment;
mod events;
mod extract;
mod facts;
mod files;
mod files_foreseen;
mod goroutine;
mod goroutine_signals;
mod guest;
mod header;
mod http;
mod language;
mod learn;
mod limits;
mod links;
mod loading;
mod log;
mod long_calls;
mod lua;
mod mistakes;
mod modules;
mod packages;
mod parts;
mod plugin_files;
mod plugin_requests;
mod plugins;
mod process;
mod random;
mod secrets;
mod server;
mod services;
mod services_conflicts;
mod services_defined;
mod stack;
mod state;
mod systemd;
mod trail;
mod types;
mod users;
mod verbs;
mod world;
