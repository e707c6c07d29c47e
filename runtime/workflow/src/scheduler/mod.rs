//! Decides which task runs next, and nothing else: running a step, telling the time and cancelling
//! are handed in, so that the same scheduler serves this machine, a master and tests.
//!
//! Reading order: [`cancel`] → [`executor`] (what the scheduler asks of others) → [`run`].

pub mod cancel;
pub mod executor;
pub mod run;

pub use cancel::{Cancel, Canceller};
pub use executor::{Clock, Executor, Finished, Step};
pub use run::{Run, Selection, Summary};
