//! What a node tells of itself to who watches it: metrics, and whether it is well.
//!
//! Reading order: [`catalogue`] (every metric, and what it means) → `meters` (where it is counted) with `names` (labels
//! that strangers choose, bounded) → [`telemetry`] (the handle that rooms are given; off, it does nothing) and [`timer`]
//! → [`calls`] (gRPC calls, as a service before others) → [`subject`] (what is looked at when somebody asks) → `text`
//! and [`page`] (what is answered, over HTTP).

pub mod calls;
pub mod catalogue;
mod meters;
mod names;
pub mod page;
pub mod subject;
#[expect(clippy::module_inception, reason = "the room's one handle")]
pub mod telemetry;
mod text;
pub mod timer;

pub use calls::Counting;
pub use catalogue::{At, CATALOGUE, Kind, Metric};
pub use subject::{Looking, Members, Sight, Subject};
pub use telemetry::{Mode, Telemetry};
pub use timer::Timer;
