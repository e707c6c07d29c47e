//! One binary for all tests of the program: it links once.

mod arguments;
mod bad_input;
mod examples;
mod layout;
mod program;
mod run;
