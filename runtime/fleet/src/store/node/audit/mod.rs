//! The audit: JSON lines in the data folder, each sealed by a hash over itself and the one before.
//!
//! Reading order: [`chain`] (a line and its seal) → [`files`] (which files there are, and where the chain
//! ends) → [`log`] (writing) → [`verify`] (whether anything was changed) → [`retire`] (taking old files out) →
//! [`damage`] (setting aside what does not verify) → [`show`] (reading).

mod chain;
mod damage;
mod files;
mod log;
mod retire;
mod show;
mod verify;

pub use damage::{Damage, accept_damage};
pub use log::Log;
pub use retire::{Gone, Retired, retire};
pub use show::{Wanted, records};
pub use verify::{Problem, Verified, verify, verify_against};
