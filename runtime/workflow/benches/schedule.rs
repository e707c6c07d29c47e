//! What the scheduler itself costs, with steps that end at once. It must grow with the number of
//! tasks and edges, not with their square.

use std::time::Duration;

use divan::{Bencher, black_box};
use futures_util::FutureExt;
use sloth_workflow::scheduler::{Selection, Summary, cancel};
use sloth_workflow::{
    Artifact, Cancel, Clock, Executor, Finished, Outcome, Run, Step, Subject, Task, Workflow, order,
};

const SIZES: [usize; 3] = [100, 1_000, 10_000];

fn main() {
    divan::main();
}

struct Nothing;

impl Executor for Nothing {
    type Seat = ();

    fn seat(&self, _: Subject, _: Vec<Artifact>) {}

    async fn execute(&self, (): &mut (), _: Step, _: Cancel) -> Finished {
        Finished::with(Outcome::Ok, "")
    }
}

impl Clock for Nothing {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep_until(&self, _: Duration) {}
}

/// Each task depends on the `width` tasks before it.
fn tasks(count: usize, width: usize) -> Vec<Task> {
    (0..count)
        .map(|index| Task {
            depends_on: (index.saturating_sub(width)..index)
                .map(|on| format!("t{on}").into())
                .collect(),
            ..Task::named(&format!("t{index}"), 1)
        })
        .collect()
}

fn workflow(count: usize, width: usize, parallel: usize) -> Workflow {
    Workflow {
        max_parallel_tasks: parallel,
        ..Workflow::named("w", 1, tasks(count, width)).expect("it has no circle")
    }
}

fn schedule(workflow: &Workflow) -> Summary {
    let (_canceller, cancel) = cancel::pair();
    let run = Run {
        workflow,
        selection: &Selection::default(),
        executor: &Nothing,
        clock: &Nothing,
        cancel,
        emit: &|event, _| drop(black_box(event)),
        jitter: &|| 0.0,
    };
    let mut finish = Box::pin(run.finish());
    // The executor never waits, but long runs yield now and then.
    loop {
        if let Some(summary) = (&mut finish).now_or_never() {
            return summary;
        }
    }
}

#[divan::bench(args = SIZES)]
fn apart(bencher: Bencher<'_, '_>, count: usize) {
    let workflow = workflow(count, 0, 16);
    bencher.bench_local(|| schedule(black_box(&workflow)));
}

#[divan::bench(args = SIZES)]
fn in_a_chain(bencher: Bencher<'_, '_>, count: usize) {
    let workflow = workflow(count, 1, 1);
    bencher.bench_local(|| schedule(black_box(&workflow)));
}

#[divan::bench(args = SIZES)]
fn each_on_ten(bencher: Bencher<'_, '_>, count: usize) {
    let workflow = workflow(count, 10, 16);
    bencher.bench_local(|| schedule(black_box(&workflow)));
}

#[divan::bench(args = SIZES)]
fn resolve(bencher: Bencher<'_, '_>, count: usize) {
    let tasks = tasks(count, 10);
    bencher.bench_local(|| order::resolve(black_box(&tasks)));
}
