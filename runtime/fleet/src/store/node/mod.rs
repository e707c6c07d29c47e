//! What a node keeps in its data folder.

#[expect(
    clippy::disallowed_methods,
    reason = "the node's own folder, not a step's path"
)]
pub mod audit;
