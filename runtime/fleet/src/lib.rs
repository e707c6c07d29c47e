//! What a node keeps.
