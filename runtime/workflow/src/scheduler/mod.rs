//! Decides which task runs next, and nothing else: running a step, telling the time and cancelling
//! are handed in, so that the same scheduler serves this machine, a master and tests.
//!
//! Reading order: [`cancel`] → [`executor`] (what the scheduler asks of others) → [`run`] (the
//! whole) → `board` (what is ready) → `places` (how many may run) → `ledger` (what came of those that are done) → `course` (one
//! task, from its conditions through its attempts) → `attempt` (its command and hooks) → `frame`
//! (the workflow's own hooks) → `watch` (what ends a run early).

pub mod cancel;
pub mod executor;
pub mod run;

mod attempt;
mod board;
mod course;
mod frame;
mod ledger;
mod places;
mod watch;

pub(crate) use ledger::map;

pub use cancel::{Cancel, Canceller};
pub use executor::{Artifact, Clock, Executor, Finished, Step, Subject};
pub use run::{Emit, Run, Selection, Summary};
