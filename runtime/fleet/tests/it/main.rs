//! One binary for all integration tests of what a node keeps.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail, and sets its own stage"
)]

mod audit;
