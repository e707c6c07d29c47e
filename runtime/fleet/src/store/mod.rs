//! Everything that is kept in databases. SQL is written nowhere else.

pub mod node;
