//! One binary for all tests of the program: it links once.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail, and sets its own stage"
)]

mod agent;
mod arguments;
mod audit;
mod bad_input;
mod check;
mod delegate;
mod dev;
mod docs;
mod examples;
mod faults;
mod fleet;
mod golden;
mod hosts;
mod house;
mod init;
mod layout;
mod library;
mod lua_types;
mod modules;
mod plugin;
mod program;
mod run;
mod runs;
mod sandbox;
mod secret;
mod settled;
mod state;
mod telemetry;
mod token;
