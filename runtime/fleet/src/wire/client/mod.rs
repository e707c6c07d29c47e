//! How a master is reached, by agents and by people.
//!
//! Reading order: [`address`] (where) → [`access`] (by what right) → [`error`] → [`reach`] (the connection) → [`settings`] (all of these, for
//! people) →
//! [`enrolment`] (how one gets a certificate) → [`keeper`] (how an agent keeps one); [`own_port`] (whether an agent is reached).

pub mod access;
pub mod address;
pub mod enrolment;
pub mod error;
pub mod keeper;
pub mod own_port;
pub mod reach;
pub mod settings;

pub use access::{Access, Places};
pub use address::Address;
pub use error::Error;
pub use keeper::Keeper;
pub use reach::{Reached, reach};
pub use settings::{Fleet, Settings, connect, problem};
