//! The master: lets in who may, keeps runs, gives their steps to agents, and tells operators what happens.
//!
//! [`access`] is who comes in, `scheduling` which step goes to which agent, `services` what is answered to agents and to
//! people; `probing` asks which agents answer on their own port; `settings` and `core` are what they share, `watched` is
//! what who watches sees of it, and `serve` is the whole.

pub mod access;
mod core;
mod probing;
mod scheduling;
mod serve;
mod services;
mod settings;
mod watched;

pub use access::allowlist::{self, Rule};
pub use access::caller::{Caller, Proof};
pub use access::doors::{Doors, Security};
pub use access::enrolment::Enrolment;
pub use access::limits::Limits;
pub use access::registrar::Registrar;
pub use access::revocations::Revocations;
pub use access::tokens::Tokens;
use core::Core;
pub use serve::{Config, Failed, Master};
pub use settings::Settings;

/// The target that is the operator's own machine.
pub const LOCAL: &str = "local";
