//! One node of a workflow's graph.

use std::time::Duration;

use sloth_policy::Grants;

use crate::plan::{Delegate, Hooks, Retries};
use crate::text::Untrusted;

/// A task's time when it names none.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);

/// What `run_if` and `abort_if` ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A Lua function.
    Function,
    /// Shell text: exit code 0 is true.
    Text(Untrusted),
}

/// One node of the graph.
#[derive(Clone, Debug)]
pub struct Task {
    pub name: Untrusted,
    pub line: u32,
    pub description: Untrusted,
    pub depends_on: Vec<Untrusted>,
    /// Tasks of which one must have failed for this one to run.
    pub next_if_fail: Vec<Untrusted>,
    /// Of each call: a condition, a hook, the command of one attempt.
    pub timeout: Duration,
    /// None is the step's scratch folder.
    pub workdir: Option<Untrusted>,
    /// None is the account the runner has.
    pub user: Option<Untrusted>,
    pub capabilities: Option<Grants>,
    pub retries: Retries,
    pub run_if: Option<Condition>,
    pub abort_if: Option<Condition>,
    pub hooks: Hooks,
    /// Globs of the files its command leaves for others, relative to its working folder.
    pub artifacts: Vec<Untrusted>,
    /// Tasks and artifacts whose files it is given.
    pub consumes: Vec<Untrusted>,
    /// `async`: takes no place among `max_parallel_tasks`.
    pub detached: bool,
    /// Where the file says that it runs; none leaves that to the workflow and the operator.
    pub delegate_to: Option<Delegate>,
    /// Where it was placed: an agent's name, or `local`. None before it was.
    pub target: Option<String>,
    /// Its place among the tasks that the file declares. Copies of one task for several targets have the same.
    pub number: usize,
}

impl Task {
    /// A task with nothing but a name.
    pub fn named(name: &str, line: u32) -> Self {
        Self {
            name: name.into(),
            line,
            description: Untrusted::default(),
            depends_on: Vec::new(),
            next_if_fail: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            workdir: None,
            user: None,
            capabilities: None,
            retries: Retries::default(),
            run_if: None,
            abort_if: None,
            hooks: Hooks::default(),
            artifacts: Vec::new(),
            consumes: Vec::new(),
            detached: false,
            delegate_to: None,
            target: None,
            number: 0,
        }
    }

    /// The target by which its outputs are told from those of other copies; none for a task that has no others.
    pub fn apart(&self) -> Option<&str> {
        let fans_out = self.delegate_to.as_ref().is_some_and(|to| to.fans_out);
        self.target.as_deref().filter(|_| fans_out)
    }
}
