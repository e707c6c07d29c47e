//! The workflows of a file.

use std::sync::Arc;
use std::time::Duration;

use sloth_policy::Grants;

use crate::Value;
use crate::order::{self, Source};
use crate::plan::{Delegate, Error, Hooks, Lock, Task};
use crate::text::Untrusted;

/// All workflows of a file, in file order.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workflows: Vec<Workflow>,
    /// The names of the plugins that the file says it calls, sorted.
    pub plugins: Vec<String>,
    /// What it was read from.
    pub(super) cbor: Arc<[u8]>,
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
    /// Where its tasks and hooks run that say nothing themselves; none leaves that to the operator.
    pub delegate_to: Option<Delegate>,
    /// No other run holds it meanwhile.
    pub lock: Option<Lock>,
    /// On how many targets a task that fans out runs at once; 0 is no limit.
    pub limit: usize,
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
    pub fn named(name: &str, line: u32, mut tasks: Vec<Task>) -> Result<Self, Error> {
        let order::Graph {
            edges,
            if_failed,
            sources,
        } = order::resolve(&tasks)?;
        for (number, task) in tasks.iter_mut().enumerate() {
            task.number = number;
        }
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
            delegate_to: None,
            lock: None,
            limit: 0,
            metadata: Value::empty(),
            hooks: Hooks::default(),
            tasks,
            edges,
            if_failed,
            sources,
        })
    }
}

impl Workflow {
    /// The names of its tasks as the file declares them, each once.
    pub fn task_names(&self) -> Vec<Untrusted> {
        let mut names = Vec::new();
        let mut last = None;
        for task in &self.tasks {
            if last.replace(task.number) != Some(task.number) {
                names.push(task.name.clone());
            }
        }
        names
    }
}

impl Plan {
    /// What it was read from, for whoever makes the same plan elsewhere.
    pub fn cbor(&self) -> &[u8] {
        &self.cbor
    }

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
