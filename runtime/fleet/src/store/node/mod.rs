//! What each node keeps for itself.

#[expect(
    clippy::disallowed_methods,
    reason = "the node's own files, not a step's paths"
)]
pub mod secrets;
