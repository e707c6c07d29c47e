//! `services`: units of systemd, over D-Bus.
//!
//! Reading order: [`view`] (the calls) → [`name`] (what is a unit's name) → [`permit`] (the asked and
//! the real name, and the runner's own unit) → [`reach`] (what else systemd would do) → [`plan`] (pure: what would change) → [`systemd`] (the
//! few questions and orders there are) → [`journal`] (why a unit failed) → [`define`] with [`unit_file`]
//! (pure: from a definition to a unit's text).

mod define;
mod journal;
mod name;
mod permit;
mod plan;
mod reach;
mod systemd;
mod unit_file;
mod view;

pub(crate) use systemd::Systemd;
pub(crate) use view::{Services, ServicesView, within};
