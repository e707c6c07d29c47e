//! What is known of the tasks that are done, and what others are given of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Artifact, Finished};
use crate::order::{Source, artifacts};
use crate::{Counts, Outcome, Task, Untrusted, Value, Workflow};

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
        let mut deps = BTreeMap::new();
        for &on in &self.workflow.edges[task] {
            if let Some(record) = &self.records[on] {
                put(&mut deps, &self.workflow.tasks[on], record.outputs.clone());
            }
        }
        let mut artifacts = Vec::new();
        let mut seen = BTreeSet::new();
        for source in &self.workflow.sources[task] {
            for artifact in self.artifacts(source) {
                if seen.insert((source.task, &artifact.name)) {
                    artifacts.push(apart(&self.workflow.tasks[source.task], artifact));
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
        let mut results = BTreeMap::new();
        let done = self.done().collect::<Vec<_>>();
        for copies in done.chunk_by(|(left, _), (right, _)| left.number == right.number) {
            let Some((task, record)) = copies.first() else {
                continue;
            };
            let result = match task.apart() {
                None => record.about(),
                Some(_) => together(copies),
            };
            results.insert(task.name.raw().to_owned(), result);
        }
        Value::Map(results)
    }

    /// The outputs of the tasks that succeeded and have any.
    pub(super) fn outputs(&self) -> Value {
        let mut all = BTreeMap::new();
        for (task, record) in self.done() {
            let any = record
                .outputs
                .as_map()
                .is_none_or(|outputs| !outputs.is_empty());
            if record.outcome.succeeded() && any {
                put(&mut all, task, record.outputs.clone());
            }
        }
        Value::Map(all)
    }

    fn done(&self) -> impl Iterator<Item = (&Task, &Record)> {
        let tasks = self.workflow.tasks.iter().zip(&self.records);
        tasks.filter_map(|(task, record)| Some((task, record.as_ref()?)))
    }
}

impl Record {
    fn about(&self) -> Value {
        about(self.outcome, &self.message, self.outputs.clone())
    }
}

/// Puts what came of a task under its name, and there under its target if it fans out.
fn put(into: &mut BTreeMap<String, Value>, task: &Task, value: Value) {
    let name = task.name.raw().to_owned();
    let Some(target) = task.apart() else {
        into.insert(name, value);
        return;
    };
    if let Value::Map(copies) = into.entry(name).or_insert_with(Value::empty) {
        copies.insert(target.to_owned(), value);
    }
}

/// A file as others are given it: those of a task that fans out each lie in a folder named after its target.
fn apart(task: &Task, artifact: &Artifact) -> Artifact {
    let mut artifact = artifact.clone();
    if let Some(target) = task.apart() {
        artifact.name = format!("{target}/{}", artifact.name);
    }
    artifact
}

/// What is told of a task that fanned out: its gravest end, the outputs by target, and each end by itself.
fn together(copies: &[(&Task, &Record)]) -> Value {
    let mut counts = Counts::default();
    let (mut outputs, mut agents) = (BTreeMap::new(), BTreeMap::new());
    for (task, record) in copies {
        counts.add(record.outcome);
        let target = task.apart().unwrap_or_default();
        outputs.insert(target.to_owned(), record.outputs.clone());
        agents.insert(target.to_owned(), record.about());
    }
    // Of tasks that were skipped everywhere nothing is graver.
    let all_skipped = copies
        .iter()
        .all(|(_, record)| record.outcome == Outcome::Skipped);
    let gravest = if all_skipped {
        Outcome::Skipped
    } else {
        counts.overall()
    };
    let mut ends = copies.iter().map(|(_, record)| record);
    let message = ends
        .find(|record| record.outcome == gravest)
        .map(|record| record.message.clone())
        .unwrap_or_default();
    let mut whole = about(gravest, &message, Value::Map(outputs));
    lay(&mut whole, map([("agents", Value::Map(agents))]));
    whole
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

pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries.map(|(key, value)| (key.to_owned(), value));
    Value::Map(entries.into())
}

/// Lays a map over another: its keys replace the same keys whole. What is no map sets nothing.
pub(super) fn lay(over: &mut Value, outputs: Value) {
    if let (Value::Map(over), Value::Map(outputs)) = (over, outputs) {
        over.extend(outputs);
    }
}
