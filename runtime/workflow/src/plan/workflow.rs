//! The workflows of a file.

use std::time::Duration;

use sloth_policy::Grants;

use crate::Value;
use crate::order::{self, Source};
use crate::plan::{Error, Hooks, Task};
use crate::text::Untrusted;

/// All workflows of a file, in file order.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workflows: Vec<Workflow>,
}

/// A named graph of tasks.
#[derive(Clone, Debug)]
pub struct Workflow {
    pub name: Untrusted,
    pub line: u32,
    pub description: Untrusted,
    pub version: Untrusted,
    /// For the whole workflow; none is no limit but its tasks' own.
    pub timeout: Option<Duration>,
    /// At least 1. With 1, tasks run in list order.
    pub max_parallel_tasks: usize,
    /// After a failure, go on with tasks that do not depend on it.
    pub continue_on_failure: bool,
    /// What the workflow declares it needs; none restricts nothing.
    pub capabilities: Option<Grants>,
    /// Globs of further files that travel with the workflow, relative to its folder.
    pub bundle: Vec<Untrusted>,
    /// What the author says of the file, for its readers.
    pub metadata: Value,
    pub hooks: Hooks,
    pub tasks: Vec<Task>,
    /// For each task the indices of those it depends on or consumes from, each once.
    pub edges: Vec<Vec<usize>>,
    /// For each task the indices of those in its `next_if_fail`, each once.
    pub if_failed: Vec<Vec<usize>>,
    /// For each task where the artifacts come from that it consumes.
    pub sources: Vec<Vec<Source>>,
}

impl Workflow {
    /// A workflow with nothing but a name and tasks. Refuses what [`order::resolve`] refuses.
    pub fn named(name: &str, line: u32, tasks: Vec<Task>) -> Result<Self, Error> {
        let order::Graph {
            edges,
            if_failed,
            sources,
        } = order::resolve(&tasks)?;
        Ok(Self {
            name: name.into(),
            line,
            description: Untrusted::default(),
            version: Untrusted::default(),
            timeout: None,
            max_parallel_tasks: 1,
            continue_on_failure: false,
            capabilities: None,
            bundle: Vec::new(),
            metadata: Value::empty(),
            hooks: Hooks::default(),
            tasks,
            edges,
            if_failed,
            sources,
        })
    }
}

impl Plan {
    /// Whether two loads declared the same tasks.
    pub fn same_tasks(&self, other: &Plan) -> bool {
        let names = |plan: &Plan| -> Vec<(Untrusted, Vec<Untrusted>)> {
            plan.workflows
                .iter()
                .map(|w| {
                    (
                        w.name.clone(),
                        w.tasks.iter().map(|t| t.name.clone()).collect(),
                    )
                })
                .collect()
        };
        names(self) == names(other)
    }
}
