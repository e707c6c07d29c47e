//! One run of one workflow.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::cancel;
use super::{Cancel, Clock, Executor, Finished, Step};
use crate::{Counts, Event, Outcome, Untrusted, Value, Workflow};

/// Which tasks of the workflow are wanted, by index.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Run only these and what they depend on; empty is all.
    pub only: BTreeSet<usize>,
    /// Leave these out. What depends on them runs without their outputs.
    pub skip: BTreeSet<usize>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    pub outcome: Outcome,
    pub counts: Counts,
    /// Each task's outcome, in list order; none for tasks outside the selection.
    pub outcomes: Vec<Option<Outcome>>,
}

/// Everything a run needs. Tasks start in list order, as soon as what they depend on succeeded and
/// fewer than `max_parallel_tasks` run.
pub struct Run<'a, E, C> {
    pub workflow: &'a Workflow,
    pub selection: &'a Selection,
    pub executor: &'a E,
    pub clock: &'a C,
    pub cancel: Cancel,
    /// Takes each event, in order.
    pub emit: &'a (dyn Fn(Event) + Sync),
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Outside the selection.
    Left,
    Waiting,
    Running,
    Done(Outcome),
}

/// Why nothing more starts.
#[derive(Clone, Copy, PartialEq)]
enum Halt {
    No,
    Failure,
    Cancel,
    Timeout,
}

impl<E: Executor, C: Clock> Run<'_, E, C> {
    /// Runs to the end: every selected task gets exactly one outcome.
    pub async fn finish(&self) -> Summary {
        let began = self.clock.now();
        let mut board = self.board();
        let mut halt = Halt::No;
        let (canceller, cancel) = cancel::pair();
        let mut running = FuturesUnordered::new();
        let mut stop = Box::pin(self.stop(began));
        let mut stopped = false;
        loop {
            if !stopped && self.cancel.is_given() {
                halt = Halt::Cancel;
            }
            if halt != Halt::No {
                self.end_waiting(&mut board, halt);
            }
            while running.len() < self.workflow.max_parallel_tasks {
                let Some(task) = self.next_ready(&mut board) else {
                    break;
                };
                running.push(self.execute(task, board.deps(self.workflow, task), cancel.clone()));
            }
            let finished = if stopped {
                running.next().await
            } else {
                match select(running.next(), &mut stop).await {
                    Either::Left((finished, _)) => finished,
                    Either::Right((reason, _)) => {
                        stopped = true;
                        halt = reason;
                        canceller.give();
                        continue;
                    }
                }
            };
            let Some((task, mut finished, took)) = finished else {
                break;
            };
            if halt == Halt::Timeout && finished.outcome == Outcome::Cancelled {
                finished.outcome = Outcome::TimedOut;
                finished.message = "the workflow's time ran out".into();
            }
            let succeeded = finished.outcome.succeeded();
            self.close(&mut board, task, finished, took);
            if !succeeded && halt == Halt::No && !self.workflow.continue_on_failure {
                halt = Halt::Failure;
            }
        }
        board.summary(halt)
    }

    fn board(&self) -> Board {
        let count = self.workflow.tasks.len();
        let mut wanted = vec![self.selection.only.is_empty(); count];
        let mut open: Vec<usize> = self.selection.only.iter().copied().collect();
        while let Some(task) = open.pop() {
            if !std::mem::replace(&mut wanted[task], true) {
                open.extend(&self.workflow.edges[task]);
            }
        }
        let states = (0..count)
            .map(|task| {
                if wanted[task] && !self.selection.skip.contains(&task) {
                    State::Waiting
                } else {
                    State::Left
                }
            })
            .collect();
        Board {
            states,
            outputs: vec![None; count],
            counts: Counts::default(),
        }
    }

    /// Waits for the operator's cancel or for the end of the workflow's time.
    async fn stop(&self, began: Duration) -> Halt {
        let cancelled = std::pin::pin!(self.cancel.given());
        match self.workflow.timeout {
            None => {
                cancelled.await;
                Halt::Cancel
            }
            Some(timeout) => {
                let over = std::pin::pin!(self.clock.sleep_until(began + timeout));
                match select(cancelled, over).await {
                    Either::Left(_) => Halt::Cancel,
                    Either::Right(_) => Halt::Timeout,
                }
            }
        }
    }

    /// The first task in list order whose dependencies all succeeded. Tasks whose dependencies
    /// did not are closed on the way, until none is left to close.
    fn next_ready(&self, board: &mut Board) -> Option<usize> {
        loop {
            let mut closed = false;
            for task in 0..board.states.len() {
                if board.states[task] != State::Waiting {
                    continue;
                }
                let edges = &self.workflow.edges[task];
                let failed = edges.iter().find(
                    |&&on| matches!(board.states[on], State::Done(outcome) if !outcome.succeeded()),
                );
                if let Some(&on) = failed {
                    let name = self.workflow.tasks[on].name.raw();
                    let message = format!("it depends on `{name}`, which did not succeed");
                    self.close(
                        board,
                        task,
                        Finished::with(Outcome::Skipped, message),
                        Duration::ZERO,
                    );
                    closed = true;
                } else if edges
                    .iter()
                    .all(|&on| matches!(board.states[on], State::Done(_) | State::Left))
                {
                    board.states[task] = State::Running;
                    return Some(task);
                }
            }
            if !closed {
                return None;
            }
        }
    }

    async fn execute(
        &self,
        task: usize,
        deps: Value,
        cancel: Cancel,
    ) -> (usize, Finished, Duration) {
        (self.emit)(Event::StepStarted {
            task: self.workflow.tasks[task].name.clone(),
            target: "local".into(),
            attempt: 1,
        });
        let began = self.clock.now();
        let finished = self
            .executor
            .execute(
                Step {
                    task,
                    attempt: 1,
                    deps,
                },
                cancel,
            )
            .await;
        (task, finished, self.clock.now().saturating_sub(began))
    }

    fn end_waiting(&self, board: &mut Board, halt: Halt) {
        let (outcome, message) = match halt {
            Halt::Cancel => (
                Outcome::Cancelled,
                "the run was cancelled before it started",
            ),
            Halt::Timeout => (Outcome::Skipped, "the workflow's time ran out"),
            Halt::Failure | Halt::No => (Outcome::Skipped, "an earlier task did not succeed"),
        };
        for task in 0..board.states.len() {
            if board.states[task] == State::Waiting {
                self.close(
                    board,
                    task,
                    Finished::with(outcome, message),
                    Duration::ZERO,
                );
            }
        }
    }

    fn close(&self, board: &mut Board, task: usize, finished: Finished, duration: Duration) {
        board.states[task] = State::Done(finished.outcome);
        board.counts.add(finished.outcome);
        board.outputs[task] = Some(finished.outputs.clone());
        (self.emit)(Event::StepFinished {
            task: self.workflow.tasks[task].name.clone(),
            outcome: finished.outcome,
            message: finished.message,
            location: finished.location,
            traceback: finished.traceback,
            outputs: finished.outputs,
            duration,
        });
    }
}

struct Board {
    states: Vec<State>,
    outputs: Vec<Option<Value>>,
    counts: Counts,
}

impl Board {
    fn summary(&self, halt: Halt) -> Summary {
        // A workflow that ran out of time between two steps has not succeeded.
        let outcome = match (halt, self.counts.overall()) {
            (Halt::Timeout, outcome) if outcome.succeeded() => Outcome::TimedOut,
            (_, outcome) => outcome,
        };
        let outcomes = self
            .states
            .iter()
            .map(|state| match state {
                State::Done(outcome) => Some(*outcome),
                State::Left | State::Waiting | State::Running => None,
            })
            .collect();
        Summary {
            outcome,
            counts: self.counts,
            outcomes,
        }
    }

    fn deps(&self, workflow: &Workflow, task: usize) -> Value {
        let of = |&on: &usize| {
            let name: &Untrusted = &workflow.tasks[on].name;
            self.outputs[on]
                .clone()
                .map(|outputs| (name.raw().to_owned(), outputs))
        };
        Value::Map(
            workflow.edges[task]
                .iter()
                .filter_map(of)
                .collect::<BTreeMap<_, _>>(),
        )
    }
}
