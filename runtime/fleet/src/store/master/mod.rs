//! What a master keeps of runs, agents and trust; and what the local history keeps of runs without a master.
//!
//! Reading order: [`store`] (how to open it) over [`writer`] (one thread, many requests in a commit), [`readers`] and
//! [`watch`] → [`error`] → [`runs`] with [`pipelines`] and [`listing`] → [`events`] and [`steps`] → [`calls`] → [`deliveries`] →
//! [`agents`] with [`heads`] → [`tokens`] and [`certificates`] over [`role`] → [`contents`] → [`locks`] → [`load`] → [`retention`].

mod agents;
mod calls;
mod certificates;
#[expect(
    clippy::disallowed_methods,
    reason = "the store's own files, not a step's paths"
)]
mod contents;
mod deliveries;
mod error;
mod events;
mod heads;
mod listing;
mod load;
mod locks;
mod past;
mod pipelines;
mod readers;
mod retention;
mod role;
mod runs;
mod steps;
mod store;
mod tokens;
mod watch;
mod writer;

pub use agents::{Agent, Greeting};
pub use calls::{Call, CallEnd, Opening};
pub use certificates::Certificate;
pub use contents::{Content, Upload};
pub use deliveries::{Delivered, Delivery, Happened, Source};
pub use error::{Error, TokenRefused};
pub use events::{Appended, Fresh, Kept};
pub use heads::ToldHead;
pub use listing::{Filter, Within};
pub use load::Load;
pub use locks::{Lock, WhenHeld};
pub use past::Past;
pub use pipelines::Pipeline;
pub use retention::Pruned;
pub use runs::{Detail, Ending, Run, RunState, Submission, Submitted};
pub use steps::Step;
pub use store::Store;
pub use tokens::{NewToken, Token, TokenState};
