//! What is known of the tasks that are done, and what others are given of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Artifact, Finished};
use crate::order::{Source, artifacts};
use crate::{Counts, Outcome, Untrusted, Value, Workflow};

/// Most bytes that outputs and the stack take in memory, all tasks of a run together.
pub(super) const MOST_KEPT: usize = 128 << 20;

/// What is kept of a task that is done.
struct Record {
    outcome: Outcome,
    message: Untrusted,
    outputs: Value,
    artifacts: Vec<Artifact>,
}

/// What a task is given when it begins.
pub(super) struct Inputs {
    pub(super) deps: Value,
    pub(super) stack: Value,
    pub(super) artifacts: Vec<Artifact>,
}

pub(super) struct Ledger<'a> {
    workflow: &'a Workflow,
    records: Vec<Option<Record>>,
    counts: Counts,
    stack: Value,
    /// About what the outputs and the stack take in memory.
    kept: usize,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(workflow: &'a Workflow) -> Self {
        Self {
            workflow,
            records: workflow.tasks.iter().map(|_| None).collect(),
            counts: Counts::default(),
            stack: Value::empty(),
            kept: 0,
        }
    }

    /// Makes a failure of an end that leaves more than there is room for. What it leaves is dropped.
    pub(super) fn fit(&self, finished: &mut Finished) {
        let left = MOST_KEPT.saturating_sub(self.kept);
        if finished.outputs.weight() + finished.stack.weight() <= left {
            return;
        }
        finished.outputs = Value::empty();
        finished.stack = Value::empty();
        if finished.outcome.succeeded() {
            finished.outcome = Outcome::Failed;
            finished.message = format!(
                "the outputs and the stack of the run take more than {} MiB; leave less, or leave files as artifacts",
                MOST_KEPT >> 20
            )
            .into();
        }
    }

    /// Writes down how a task ended.
    pub(super) fn record(&mut self, task: usize, finished: &Finished) {
        self.counts.add(finished.outcome);
        self.set(finished.stack.clone());
        self.kept += finished.outputs.weight();
        self.records[task] = Some(Record {
            outcome: finished.outcome,
            message: finished.message.clone(),
            outputs: finished.outputs.clone(),
            artifacts: finished.artifacts.clone(),
        });
    }

    pub(super) fn inputs(&self, task: usize) -> Inputs {
        let outputs = |&on: &usize| {
            let record = self.records[on].as_ref()?;
            let name = self.workflow.tasks[on].name.raw().to_owned();
            Some((name, record.outputs.clone()))
        };
        let deps: BTreeMap<_, _> = self.workflow.edges[task]
            .iter()
            .filter_map(outputs)
            .collect();
        let mut artifacts = Vec::new();
        let mut seen = BTreeSet::new();
        for source in &self.workflow.sources[task] {
            for artifact in self.artifacts(source) {
                if seen.insert((source.task, &artifact.name)) {
                    artifacts.push(artifact.clone());
                }
            }
        }
        Inputs {
            deps: Value::Map(deps),
            stack: self.stack.clone(),
            artifacts,
        }
    }

    fn artifacts(&self, source: &Source) -> impl Iterator<Item = &Artifact> {
        let globs = source.globs(&self.workflow.tasks[source.task]);
        self.records[source.task]
            .iter()
            .flat_map(|record| &record.artifacts)
            .filter(move |artifact| match &globs {
                None => true,
                Some(globs) => globs
                    .iter()
                    .any(|glob| artifacts::covers(glob, &artifact.name)),
            })
    }

    /// Lays outputs of the stack over those there are, key by key.
    pub(super) fn set(&mut self, outputs: Value) {
        for (key, value) in outputs.as_map().into_iter().flatten() {
            let before = self.stack.get(key).map_or(0, Value::weight);
            self.kept = (self.kept + value.weight()).saturating_sub(before);
        }
        lay(&mut self.stack, outputs);
    }

    pub(super) fn stack(&self) -> &Value {
        &self.stack
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Each task's outcome; none for tasks outside the selection.
    pub(super) fn outcomes(&self) -> Vec<Option<Outcome>> {
        self.records
            .iter()
            .map(|record| record.as_ref().map(|record| record.outcome))
            .collect()
    }

    /// What on-complete is told of each task.
    pub(super) fn results(&self) -> Value {
        self.each(|record| {
            Some(about(
                record.outcome,
                &record.message,
                record.outputs.clone(),
            ))
        })
    }

    /// The outputs of the tasks that succeeded and have any.
    pub(super) fn outputs(&self) -> Value {
        self.each(|record| {
            let any = record
                .outputs
                .as_map()
                .is_none_or(|outputs| !outputs.is_empty());
            (record.outcome.succeeded() && any).then(|| record.outputs.clone())
        })
    }

    fn each(&self, value: impl Fn(&Record) -> Option<Value>) -> Value {
        let named = |(task, record): (usize, &Option<Record>)| {
            let name = self.workflow.tasks[task].name.raw().to_owned();
            Some((name, value(record.as_ref()?)?))
        };
        Value::Map(self.records.iter().enumerate().filter_map(named).collect())
    }
}

/// What a hook is told of how something ended.
pub(super) fn about(outcome: Outcome, message: &Untrusted, outputs: Value) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    map([
        ("success", Value::Bool(outcome.succeeded())),
        ("outcome", text(outcome.word())),
        ("message", text(message.raw())),
        ("outputs", outputs),
    ])
}

pub(super) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries.map(|(key, value)| (key.to_owned(), value));
    Value::Map(entries.into())
}

/// Lays a map over another: its keys replace the same keys whole. What is no map sets nothing.
pub(super) fn lay(over: &mut Value, outputs: Value) {
    if let (Value::Map(over), Value::Map(outputs)) = (over, outputs) {
        over.extend(outputs);
    }
}
