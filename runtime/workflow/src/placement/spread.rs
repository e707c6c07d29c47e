//! A workflow with its tasks on their targets.

use std::ops::Range;

use super::{MAX_EDGES, MAX_STEPS, Placement, Refusal};
use crate::{Source, Task, Workflow};

/// One run of a workflow from its beginning to its end.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Where the workflow's own hooks run, and the tasks that have no target of their own.
    pub target: String,
    /// Every task has its target. One that fans out is there once for each, next to each other.
    pub workflow: Workflow,
}

impl Placement {
    /// The pipelines, for the workflow that was placed.
    pub fn pipelines(&self, workflow: &Workflow) -> Result<Vec<Pipeline>, Refusal> {
        if self.pipelines.is_empty() || self.tasks.len() != workflow.tasks.len() {
            return Err(Refusal::TooMany(
                "the workflow is not the one that was placed".to_owned(),
            ));
        }
        self.pipelines
            .iter()
            .map(|target| {
                Ok(Pipeline {
                    target: target.clone(),
                    workflow: self.spread(workflow, target)?,
                })
            })
            .collect()
    }

    fn targets<'a>(&'a self, task: usize, default: &'a String) -> &'a [String] {
        match self.tasks[task].as_deref() {
            Some(own) => own,
            None => std::slice::from_ref(default),
        }
    }

    fn spread(&self, workflow: &Workflow, target: &String) -> Result<Workflow, Refusal> {
        let mut copies = Vec::with_capacity(workflow.tasks.len());
        let mut count = 0;
        for task in 0..workflow.tasks.len() {
            let end = count + self.targets(task, target).len();
            copies.push(count..end);
            count = end;
        }
        if count > MAX_STEPS {
            return Err(Refusal::TooMany(format!(
                "the workflow comes to {count} steps on its targets; at most {MAX_STEPS} are allowed"
            )));
        }
        let edges = pairs(&copies, &workflow.edges) + pairs(&copies, &workflow.if_failed);
        if edges > MAX_EDGES {
            return Err(Refusal::TooMany(format!(
                "{edges} pairs of steps wait for each other; at most {MAX_EDGES} are allowed: \
                 give the whole workflow its targets instead of its tasks"
            )));
        }
        let mut spread = workflow.clone();
        spread.limit = self.limit;
        spread.tasks = workflow
            .tasks
            .iter()
            .enumerate()
            .flat_map(|(number, task)| {
                self.targets(number, target).iter().map(move |target| Task {
                    target: Some(target.clone()),
                    number,
                    ..task.clone()
                })
            })
            .collect();
        let all = |of: &[Vec<usize>]| -> Vec<Vec<usize>> {
            spread
                .tasks
                .iter()
                .map(|task| {
                    let on = of[task.number].iter();
                    on.flat_map(|on| copies[*on].clone()).collect()
                })
                .collect()
        };
        let (edges, if_failed) = (all(&workflow.edges), all(&workflow.if_failed));
        spread.sources = spread
            .tasks
            .iter()
            .map(|task| {
                let sources = workflow.sources[task.number].iter();
                sources
                    .flat_map(|source| from_all(source, &copies))
                    .collect()
            })
            .collect();
        spread.edges = edges;
        spread.if_failed = if_failed;
        Ok(spread)
    }
}

fn from_all<'a>(
    source: &'a Source,
    copies: &'a [Range<usize>],
) -> impl Iterator<Item = Source> + 'a {
    copies[source.task].clone().map(|task| Source {
        task,
        name: source.name.clone(),
    })
}

/// How many pairs of steps come of the pairs of tasks.
fn pairs(copies: &[Range<usize>], of: &[Vec<usize>]) -> usize {
    of.iter()
        .enumerate()
        .map(|(task, on)| {
            let before: usize = on.iter().map(|on| copies[*on].len()).sum();
            copies[task].len() * before
        })
        .sum()
}
