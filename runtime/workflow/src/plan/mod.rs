//! What a file declares: its workflows and their tasks, as the guest reported them.
//!
//! Reading order: [`error`] → [`part`] (what can be called on its own) → [`retries`] → [`delegate`] (where it runs) →
//! [`lock`] → [`task`] → [`workflow`] → `fields` and `read` (from the guest's map) → `declared` (capabilities).

pub mod delegate;
pub mod error;
pub mod lock;
pub mod part;
pub mod retries;
pub mod task;
pub mod workflow;

mod declared;
mod fields;
mod read;

pub use delegate::{Delegate, Target};
pub use error::Error;
pub use lock::{Lock, Wait};
pub use part::{Hooks, Part};
pub use retries::{Backoff, Retries};
pub use task::{Condition, DEFAULT_TIMEOUT, Task};
pub use workflow::{Plan, Workflow};

/// Most tasks in one file.
pub const MAX_TASKS: usize = 10_000;
/// Most bytes in a name.
pub const MAX_NAME: usize = 256;
/// Most bytes in an artifact's glob: as long as a path may be.
pub const MAX_GLOB: usize = 4096;
/// Most artifacts one task declares, and most names it consumes.
pub const MAX_ARTIFACTS: usize = 256;
/// Most names and selectors in one `delegate_to`.
pub const MAX_TARGETS: usize = 1000;
/// Most plugins that one file calls.
pub const MAX_PLUGINS: usize = 64;
/// Most attempts after the first.
pub const MAX_RETRIES: u32 = 1000;
