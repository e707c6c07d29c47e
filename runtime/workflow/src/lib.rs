//! What a workflow is, apart from any machine: its bundle, its plan, the values that flow through
//! it, the events it leaves behind, and the scheduler that decides what runs next.
//!
//! Nothing here reads a file, a clock or a socket. The scheduler reaches the world through the
//! [`Executor`] and [`Clock`] traits alone.
//!
//! Reading order: [`value`] and [`cbor`] (plain data) → [`values`] (what the operator hands in) →
//! [`text`] (words of strangers) → [`bundle`] → [`selector`] → [`plan`] and [`order`] → [`placement`] (which step runs
//! where) → [`outcome`] → [`event`] → [`scheduler`].

pub mod bundle;
pub mod cbor;
pub mod event;
pub mod order;
pub mod outcome;
pub mod placement;
pub mod plan;
pub mod scheduler;
pub mod selector;
pub mod signature;
pub mod text;
pub mod value;
pub mod values;

pub use bundle::Bundle;
pub use event::{Event, Record};
pub use order::Source;
pub use outcome::{Counts, Outcome};
pub use placement::{Allowed, Pipeline, Placement};
pub use plan::{Condition, Hooks, Part, Plan, Retries, Task, Workflow};
pub use scheduler::{Artifact, Cancel, Clock, Executor, Finished, Run, Step, Subject};
pub use selector::Selector;
pub use text::Untrusted;
pub use value::Value;
