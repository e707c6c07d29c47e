//! What is looked at when somebody asks, instead of being counted as it happens.

use std::pin::Pin;

/// A node that is watched.
pub trait Subject: Send + Sync + 'static {
    /// Looks at it, as it is now.
    fn look(&self) -> Looking<'_>;
}

/// A look that is under way.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Sight> + Send + 'a>>;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Whether it can do its work at all; else why not.
    pub well: Result<(), String>,
    /// Whether it takes work on now; else why not.
    pub ready: Result<(), String>,
    /// Steps at work.
    pub running: u64,
    /// None for an agent.
    pub members: Option<Members>,
}

/// What a master has of agents and of work for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub online: u64,
    pub lost: u64,
    pub drained: u64,
    /// Steps that wait to be given to their agent.
    pub waiting: u64,
}

impl Sight {
    /// A node that cannot even be looked at.
    pub fn unwell(why: impl Into<String>) -> Self {
        let why = why.into();
        Self {
            well: Err(why.clone()),
            ready: Err(why),
            running: 0,
            members: None,
        }
    }
}
