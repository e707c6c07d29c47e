//! One binary for all integration tests of the sandbox: it links once.

mod confine;
