//! Which step runs where, within what the operator allows. Pure: who is there is handed in.
//!
//! A task's target is its own `delegate_to`, else its workflow's, else what the operator names, else this machine. A
//! name is one step; a list or a selector makes a copy of the task for each agent, and what depends on it waits for
//! all of them. Several targets of a workflow, or several that the operator names, are one pipeline each: the whole
//! workflow, independent of the others. A workflow whose tasks all say themselves where they run is one pipeline.
//!
//! Reading order: [`agent`] (who is there, and who is allowed) → [`choose`] ([`Placement`]) → [`refusal`] → [`spread`]
//! (a workflow with its tasks on their targets).

pub mod agent;
pub mod choose;
pub mod refusal;
pub mod spread;

pub use agent::{Agent, Allowed};
pub use choose::{Placement, Share};
pub use refusal::{Asked, Refusal};
pub use spread::Pipeline;

/// The target that is the operator's own machine.
pub const LOCAL: &str = "local";
/// Most steps of one pipeline.
pub const MAX_STEPS: usize = 100_000;
/// Most pipelines of a run.
pub const MAX_PIPELINES: usize = 10_000;
/// Most pairs of steps of which one waits for the other, in one pipeline.
pub const MAX_EDGES: usize = 4_000_000;
