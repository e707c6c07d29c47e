//! Everything that is kept on disk. SQL is written nowhere else.
//!
//! Reading order: [`file`] (one SQLite file, its schema, and what can be wrong with it) → [`node`] (what one node keeps
//! for itself) → [`journal`] (what an agent keeps of the calls it makes) → [`master`] (runs, agents and trust) →
//! [`history`] (runs without a master).

mod file;
pub mod history;
pub mod journal;
pub mod master;
pub mod node;
