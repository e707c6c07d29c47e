//! One run of one workflow.

use std::collections::BTreeSet;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::board::Board;
use super::course::{Course, Ended, TIME_RAN_OUT, out_of_time};
use super::ledger::map;
use super::places::Places;
use super::watch::{Interruption, Watch};
use super::{Cancel, Clock, Executor};
use crate::plan::Part;
use crate::{Counts, Event, Outcome, Value, Workflow};

/// Which tasks of the workflow are wanted, by their numbers: their places in the file.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Run only these and what they depend on; empty is all.
    pub only: BTreeSet<usize>,
    /// Leave these out. What depends on them runs without their outputs.
    pub skip: BTreeSet<usize>,
}

impl Selection {
    /// The tasks that are meant, by their indices.
    pub fn tasks(&self, workflow: &Workflow) -> BTreeSet<usize> {
        let count = workflow.tasks.len();
        let number = |task: usize| workflow.tasks[task].number;
        let named = |task: &usize| self.only.is_empty() || self.only.contains(&number(*task));
        let mut open: Vec<usize> = (0..count).filter(named).collect();
        let mut wanted = BTreeSet::new();
        while let Some(task) = open.pop() {
            if wanted.insert(task) {
                open.extend(&workflow.edges[task]);
            }
        }
        wanted.retain(|task| !self.skip.contains(&number(*task)));
        wanted
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    pub outcome: Outcome,
    pub counts: Counts,
    /// Each task's outcome, copy by copy, in list order; none for tasks outside the selection.
    pub outcomes: Vec<Option<Outcome>>,
    /// Map of `tasks`, the outputs of each task that succeeded and has any, and `stack`, what was
    /// set with `stack.set_output`.
    pub outputs: Value,
}

/// Takes an event, and the target it happened on.
pub type Emit<'a> = dyn Fn(Event, Option<&str>) + Sync + 'a;

/// Everything a run needs. Tasks start in list order, as soon as what they depend on succeeded and
/// fewer than `max_parallel_tasks` run. A detached task starts in its turn too, but takes no place
/// from those after it. The copies of a task that fans out take one place together: each has a machine of its own.
pub struct Run<'a, E, C> {
    pub workflow: &'a Workflow,
    pub selection: &'a Selection,
    pub executor: &'a E,
    pub clock: &'a C,
    pub cancel: Cancel,
    /// Takes each event, in order, with where it happened; none is where the workflow's own hooks run.
    pub emit: &'a Emit<'a>,
    /// Random numbers from 0 to 1, for the delays between attempts.
    pub jitter: &'a (dyn Fn() -> f64 + Sync),
}

/// What the run's outcome takes from beside its tasks.
#[derive(Default)]
struct Apart {
    /// Why nothing more started, the last reason.
    halt: Option<Halt>,
    /// The workflow's time ran out before every task had begun.
    cut_short: bool,
    /// How `on_start` failed.
    start: Option<Outcome>,
    /// A hook of the workflow changed something.
    changed: bool,
}

/// Why nothing more starts.
#[derive(Clone, Copy, PartialEq)]
enum Halt {
    Failure,
    Interruption(Interruption),
}

impl<E: Executor, C: Clock> Run<'_, E, C> {
    /// Runs to the end: every selected task gets exactly one outcome.
    pub async fn finish(&self) -> Summary {
        let mut watch = Watch::new(self.clock, &self.cancel, self.workflow.timeout);
        let mut board = Board::new(self.workflow, self.selection, self.emit);
        let mut apart = Apart::default();
        if board.is_empty() {
            return summary(&board, &apart);
        }
        self.begin(&mut board, &mut watch, &mut apart).await;
        board.settle();
        self.work(&mut board, &mut watch, &mut apart).await;
        if !self.cancel.is_given() {
            let success = outcome(&board, &apart).succeeded();
            if let Some(finished) = self.on_complete(&board.ledger, success).await {
                apart.changed |= finished.outcome == Outcome::Changed;
                board.ledger.set(finished.stack);
            }
        }
        summary(&board, &apart)
    }

    /// Ends every selected task so, without calling anything: for a run that may not begin.
    pub fn refuse(&self, outcome: Outcome, message: &str) -> Summary {
        let mut board = Board::new(self.workflow, self.selection, self.emit);
        board.close_waiting(outcome, message);
        summary(&board, &Apart::default())
    }

    /// Calls `on_start`, and skips all tasks if it does not succeed.
    async fn begin(&self, board: &mut Board<'_>, watch: &mut Watch<'_, C>, apart: &mut Apart) {
        if watch.interruption().is_some() {
            return;
        }
        let start = std::pin::pin!(self.on_start(board.ledger.stack().clone(), watch.signal()));
        let Some(finished) = watch.all(start).await else {
            return;
        };
        apart.changed |= finished.outcome == Outcome::Changed;
        if !finished.outcome.succeeded() && watch.interruption().is_none() {
            let message = finished.complaint(Part::OnStart);
            apart.start = Some(finished.outcome);
            board.close_waiting(Outcome::Skipped, message.raw());
        }
        board.ledger.set(finished.stack);
    }

    /// Starts what is ready and takes in what ended, until nothing runs any more. After the end of the
    /// workflow's time only those are ready that undo what had begun, and only the operator ends them.
    async fn work(&self, board: &mut Board<'_>, watch: &mut Watch<'_, C>, apart: &mut Apart) {
        let mut running = FuturesUnordered::new();
        let mut places = Places::of(self.workflow);
        loop {
            let mut cancel = watch.signal();
            if let Some(interruption) = watch.interruption() {
                apart.interrupt(board, interruption);
                cancel = self.cancel.clone();
            }
            while let Some(task) = board.next_ready(|task| places.has_one_for(task)) {
                places.take(task);
                let course = Course::new(self, task, board.ledger.inputs(task), cancel.clone());
                running.push(course.finish());
            }
            let ended = watch.first(running.next()).await;
            if let Some(interruption) = watch.interruption() {
                apart.interrupt(board, interruption);
            }
            match ended {
                None => {}
                Some(None) => break,
                Some(Some(ended)) => {
                    places.give_back(ended.task);
                    self.take_in(board, apart, ended);
                }
            }
        }
    }

    fn take_in(&self, board: &mut Board<'_>, apart: &mut Apart, ended: Ended) {
        let mut finished = ended.finished;
        let timed_out = apart.halt == Some(Halt::Interruption(Interruption::Timeout));
        if timed_out && finished.outcome == Outcome::Cancelled {
            finished = out_of_time(finished);
        }
        board.ledger.fit(&mut finished);
        let failed = !finished.outcome.succeeded() && finished.outcome != Outcome::Skipped;
        board.close(ended.task, finished, ended.took);
        let stop = ended.abort || failed && !self.workflow.continue_on_failure;
        if stop && apart.halt.is_none() {
            apart.halt = Some(Halt::Failure);
            board.stop_after_failure();
        }
    }
}

impl Apart {
    fn interrupt(&mut self, board: &mut Board<'_>, interruption: Interruption) {
        let halt = Some(Halt::Interruption(interruption));
        if self.halt == halt {
            return;
        }
        self.halt = halt;
        match interruption {
            Interruption::Cancel => {
                board.close_waiting(
                    Outcome::Cancelled,
                    "the run was cancelled before it started",
                );
            }
            Interruption::Timeout => {
                self.cut_short = board.stop_out_of_time(TIME_RAN_OUT) > 0;
            }
        }
    }
}

fn outcome(board: &Board<'_>, apart: &Apart) -> Outcome {
    match board.ledger.counts().overall() {
        outcome if !outcome.succeeded() => outcome,
        // What it did not come to is only skipped, yet it has not succeeded.
        _ if apart.cut_short => Outcome::TimedOut,
        outcome => match apart.start {
            Some(failed) => failed,
            None if apart.changed => Outcome::Changed,
            None => outcome,
        },
    }
}

fn summary(board: &Board<'_>, apart: &Apart) -> Summary {
    Summary {
        outcome: outcome(board, apart),
        counts: board.ledger.counts(),
        outcomes: board.ledger.outcomes(),
        outputs: map([
            ("tasks", board.ledger.outputs()),
            ("stack", board.ledger.stack().clone()),
        ]),
    }
}
