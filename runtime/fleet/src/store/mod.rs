//! Everything that is kept on disk. SQL is written nowhere else.

pub mod journal;
pub mod node;
