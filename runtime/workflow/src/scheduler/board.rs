//! Where every task of a run stands, and which is ready.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ledger::Ledger;
use super::{Emit, Finished, Selection};
use crate::{Event, Outcome, Workflow};

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Outside the selection.
    Left,
    Waiting,
    Running,
    Done,
}

/// Where the tasks stand. It emits how each of them ended.
pub(super) struct Board<'a> {
    workflow: &'a Workflow,
    emit: &'a Emit<'a>,
    states: Vec<State>,
    pub(super) ledger: Ledger<'a>,
    /// For each task those that depend on it.
    dependents: Vec<Vec<usize>>,
    /// For each task those that run if it failed.
    rescuers: Vec<Vec<usize>>,
    /// For each task how many of those it waits for are not done. What is left is not waited for.
    unfinished: Vec<usize>,
    /// A dependency of each task that did not succeed.
    hindered: Vec<Option<usize>>,
    /// Whether one of the tasks in each one's `next_if_fail` failed.
    called: Vec<bool>,
    /// Waiting for nothing but a place.
    ready: BTreeSet<usize>,
    /// Waiting for what will not come; closed before anything else happens.
    doomed: BTreeSet<usize>,
}

impl<'a> Board<'a> {
    pub(super) fn new(workflow: &'a Workflow, selection: &Selection, emit: &'a Emit<'a>) -> Self {
        let count = workflow.tasks.len();
        let mut board = Self {
            workflow,
            emit,
            states: states(workflow, selection),
            ledger: Ledger::new(workflow),
            dependents: vec![Vec::new(); count],
            rescuers: vec![Vec::new(); count],
            unfinished: vec![0; count],
            hindered: vec![None; count],
            called: vec![false; count],
            ready: BTreeSet::new(),
            doomed: BTreeSet::new(),
        };
        for task in 0..count {
            if board.states[task] == State::Waiting {
                board.enlist(task);
            }
        }
        board
    }

    fn enlist(&mut self, task: usize) {
        let waits = |on: &&usize| self.states[**on] == State::Waiting;
        let edges: Vec<usize> = self.workflow.edges[task]
            .iter()
            .filter(waits)
            .copied()
            .collect();
        let if_failed = self.workflow.if_failed[task].iter().filter(waits);
        let if_failed: Vec<usize> = if_failed.copied().collect();
        self.unfinished[task] = edges.len() + if_failed.len();
        for on in edges {
            self.dependents[on].push(task);
        }
        for on in if_failed {
            self.rescuers[on].push(task);
        }
        self.sort(task);
    }

    /// Whether no task is selected.
    pub(super) fn is_empty(&self) -> bool {
        self.states.iter().all(|state| *state == State::Left)
    }

    /// The first task in list order that is ready, if there is a place for it. It counts as running from here on.
    pub(super) fn next_ready(&mut self, has_place: impl Fn(usize) -> bool) -> Option<usize> {
        let task = self
            .ready
            .first()
            .copied()
            .filter(|task| has_place(*task))?;
        self.ready.remove(&task);
        self.states[task] = State::Running;
        Some(task)
    }

    /// Ends a task, and those that cannot run any more because of it.
    pub(super) fn close(&mut self, task: usize, finished: Finished, took: Duration) {
        self.record(task, finished, took);
        self.settle();
    }

    /// Skips the tasks that wait for what will not come.
    pub(super) fn settle(&mut self) {
        while let Some(task) = self.doomed.pop_first() {
            let finished = Finished::with(Outcome::Skipped, self.hindrance(task));
            self.record(task, finished, Duration::ZERO);
        }
    }

    /// Ends every task that waits, and tells how many those were.
    pub(super) fn close_waiting(&mut self, outcome: Outcome, message: &str) -> usize {
        self.close_where(outcome, message, |_| true)
    }

    /// Skips every task that waits, but for those that a failure calls and what depends on them,
    /// whether or not what they wait for is done.
    pub(super) fn stop_after_failure(&mut self) {
        let mut spared: Vec<bool> = self
            .workflow
            .if_failed
            .iter()
            .map(|tasks| !tasks.is_empty())
            .collect();
        let mut open: Vec<usize> = (0..spared.len()).filter(|task| spared[*task]).collect();
        while let Some(task) = open.pop() {
            for &dependent in &self.dependents[task] {
                if !std::mem::replace(&mut spared[dependent], true) {
                    open.push(dependent);
                }
            }
        }
        let message = "an earlier task did not succeed";
        self.close_where(Outcome::Skipped, message, |task| !spared[task]);
    }

    /// Skips every task that waits, but for those that a task calls by its failure which has begun,
    /// and tells how many those were.
    pub(super) fn stop_out_of_time(&mut self, message: &str) -> usize {
        let mut spared = self.called.clone();
        let mut open: Vec<usize> = (0..spared.len())
            .filter(|task| spared[*task] || self.states[*task] == State::Running)
            .collect();
        while let Some(task) = open.pop() {
            for &rescuer in &self.rescuers[task] {
                if !std::mem::replace(&mut spared[rescuer], true) {
                    open.push(rescuer);
                }
            }
        }
        self.close_where(Outcome::Skipped, message, |task| !spared[task])
    }

    fn close_where(
        &mut self,
        outcome: Outcome,
        message: &str,
        whether: impl Fn(usize) -> bool,
    ) -> usize {
        let mut closed = 0;
        for task in 0..self.states.len() {
            if self.states[task] == State::Waiting && whether(task) {
                self.record(task, Finished::with(outcome, message), Duration::ZERO);
                closed += 1;
            }
        }
        self.settle();
        closed
    }

    fn record(&mut self, task: usize, finished: Finished, duration: Duration) {
        self.states[task] = State::Done;
        self.ready.remove(&task);
        self.doomed.remove(&task);
        self.ledger.record(task, &finished);
        let event = Event::StepFinished {
            task: self.workflow.tasks[task].name.clone(),
            outcome: finished.outcome,
            message: finished.message,
            location: finished.location,
            traceback: finished.traceback,
            outputs: finished.outputs,
            duration,
        };
        (self.emit)(event, self.workflow.tasks[task].target.as_deref());
        for at in 0..self.dependents[task].len() {
            let dependent = self.dependents[task][at];
            if !finished.outcome.succeeded() {
                self.hindered[dependent].get_or_insert(task);
            }
            self.unfinished[dependent] -= 1;
            self.sort(dependent);
        }
        for at in 0..self.rescuers[task].len() {
            let rescuer = self.rescuers[task][at];
            self.called[rescuer] |= finished.outcome.is_failure();
            self.unfinished[rescuer] -= 1;
            self.sort(rescuer);
        }
    }

    /// Finds a waiting task its place: ready, doomed or neither yet.
    fn sort(&mut self, task: usize) {
        if self.states[task] != State::Waiting {
            return;
        }
        let uncalled = !self.workflow.if_failed[task].is_empty() && !self.called[task];
        if self.hindered[task].is_some() || self.unfinished[task] == 0 && uncalled {
            self.doomed.insert(task);
        } else if self.unfinished[task] == 0 {
            self.ready.insert(task);
        }
    }

    /// Why a doomed task cannot run.
    fn hindrance(&self, task: usize) -> String {
        let tasks = &self.workflow.tasks;
        if let Some(on) = self.hindered[task] {
            let name = tasks[on].name.raw();
            let place = tasks[on]
                .apart()
                .map_or_else(String::new, |target| format!(" on {target}"));
            return format!("it depends on `{name}`, which did not succeed{place}");
        }
        let mut names: Vec<String> = self.workflow.if_failed[task]
            .iter()
            .map(|on| format!("`{}`", tasks[*on].name.raw()))
            .collect();
        // The copies of one task stand next to each other.
        names.dedup();
        format!("none of {} failed", names.join(", "))
    }
}

fn states(workflow: &Workflow, selection: &Selection) -> Vec<State> {
    let mut states = vec![State::Left; workflow.tasks.len()];
    for task in selection.tasks(workflow) {
        states[task] = State::Waiting;
    }
    states
}
