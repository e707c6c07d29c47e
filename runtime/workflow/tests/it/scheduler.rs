use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::join;
use proptest::prelude::*;
use sloth_workflow::scheduler::{Selection, Summary, cancel};
use sloth_workflow::{
    Cancel, Clock, Event, Executor, Finished, Outcome, Run, Step, Task, Value, Workflow,
};

/// Time that only passes when somebody turns it.
#[derive(Default)]
struct Virtual(Mutex<Duration>);

impl Virtual {
    fn pass(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for Virtual {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep_until(&self, moment: Duration) -> impl Future<Output = ()> + Send {
        std::future::poll_fn(move |context: &mut Context<'_>| {
            if self.now() >= moment {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

/// Ends each task as it is told, after some turns, and notes what ran.
struct Script<'a> {
    clock: &'a Virtual,
    outcomes: Vec<Outcome>,
    turns: u32,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Default)]
struct Notes {
    started: Vec<usize>,
    deps: BTreeMap<usize, Value>,
    running: usize,
    most: usize,
}

impl Executor for Script<'_> {
    async fn execute(&self, step: Step, cancel: Cancel) -> Finished {
        {
            let mut notes = self.notes.lock().unwrap();
            notes.started.push(step.task);
            notes.deps.insert(step.task, step.deps.clone());
            notes.running += 1;
            notes.most = notes.most.max(notes.running);
        }
        let mut outcome = self.outcomes[step.task];
        for _ in 0..self.turns {
            if cancel.is_given() {
                outcome = Outcome::Cancelled;
                break;
            }
            self.clock.pass(Duration::from_secs(1));
            Turn::default().await;
        }
        self.notes.lock().unwrap().running -= 1;
        let mut finished = Finished::with(outcome, "");
        let index = i64::try_from(step.task).unwrap();
        finished.outputs = Value::Map([("index".to_owned(), Value::Integer(index))].into());
        finished
    }
}

/// Lets others go first, once.
#[derive(Default)]
struct Turn(Cell<bool>);

impl Future for Turn {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0.replace(true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

fn workflow(edges: &[Vec<usize>]) -> Workflow {
    let tasks = (0..edges.len())
        .map(|index| Task::named(&format!("t{index}"), 1))
        .collect();
    Workflow {
        edges: edges.to_vec(),
        ..Workflow::named("w", 1, tasks).unwrap()
    }
}

struct Ran {
    summary: Summary,
    notes: Notes,
    finished: Vec<String>,
}

fn run(workflow: &Workflow, outcomes: Vec<Outcome>, turns: u32, cancel: Cancel) -> Ran {
    let clock = Virtual::default();
    let notes = Arc::new(Mutex::new(Notes::default()));
    let executor = Script {
        clock: &clock,
        outcomes,
        turns,
        notes: Arc::clone(&notes),
    };
    let finished = Mutex::new(Vec::new());
    let emit = |event| {
        if let Event::StepFinished { task, outcome, .. } = event {
            finished
                .lock()
                .unwrap()
                .push(format!("{}={}", task.raw(), outcome.word()));
        }
    };
    let run = Run {
        workflow,
        selection: &Selection::default(),
        executor: &executor,
        clock: &clock,
        cancel,
        emit: &emit,
    };
    let summary = block_on(run.finish());
    drop(executor);
    let notes = std::mem::take(&mut *notes.lock().unwrap());
    Ran {
        summary,
        notes,
        finished: finished.into_inner().unwrap(),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(std::task::Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

fn never() -> Cancel {
    cancel::pair().1
}

#[test]
fn without_dependencies_tasks_run_in_list_order() {
    let ran = run(
        &workflow(&[vec![], vec![], vec![]]),
        vec![Outcome::Ok; 3],
        2,
        never(),
    );
    assert_eq!(ran.notes.started, [0, 1, 2]);
    assert_eq!(ran.notes.most, 1);
    assert_eq!(ran.summary.outcome, Outcome::Ok);
}

#[test]
fn outputs_reach_those_that_depend_and_no_others() {
    let ran = run(
        &workflow(&[vec![1], vec![], vec![]]),
        vec![Outcome::Ok; 3],
        1,
        never(),
    );
    assert_eq!(ran.notes.started, [1, 0, 2]);
    let index = Value::Map([("index".to_owned(), Value::Integer(1))].into());
    assert_eq!(
        ran.notes.deps[&0],
        Value::Map([("t1".to_owned(), index)].into())
    );
    assert_eq!(ran.notes.deps[&2], Value::empty());
}

#[test]
fn the_workflows_time_ends_what_runs_and_what_waits() {
    let mut workflow = workflow(&[vec![], vec![]]);
    workflow.timeout = Some(Duration::from_secs(5));
    let ran = run(&workflow, vec![Outcome::Ok; 2], 100, never());
    assert_eq!(ran.finished, ["t1=skipped", "t0=timed-out"]);
    assert_eq!(ran.summary.outcome, Outcome::TimedOut);
}

#[test]
fn a_cancel_starts_nothing_more_and_ends_what_runs() {
    let (canceller, cancel) = cancel::pair();
    let workflow = workflow(&[vec![], vec![]]);
    let clock = Virtual::default();
    let notes = Arc::new(Mutex::new(Notes::default()));
    let executor = Script {
        clock: &clock,
        outcomes: vec![Outcome::Ok; 2],
        turns: 1000,
        notes: Arc::clone(&notes),
    };
    let run = Run {
        workflow: &workflow,
        selection: &Selection::default(),
        executor: &executor,
        clock: &clock,
        cancel,
        emit: &|_| {},
    };
    let later = async {
        Turn::default().await;
        canceller.give();
    };
    let (summary, ()) = block_on(join(run.finish(), later));
    assert_eq!(notes.lock().unwrap().started, [0]);
    assert_eq!(summary.outcome, Outcome::Cancelled);
    assert_eq!(summary.counts.cancelled, 2);
}

fn graph() -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<Outcome>, usize, bool)> {
    (1_usize..12).prop_flat_map(|count| {
        let edges: Vec<_> = (0..count)
            .map(|index| {
                prop::collection::btree_set(0..count.max(1), 0..3).prop_map(move |set| {
                    // Only towards earlier tasks, so that no circle arises.
                    set.into_iter()
                        .filter(|on| *on < index)
                        .collect::<Vec<usize>>()
                })
            })
            .collect();
        let outcome = prop_oneof![
            4 => Just(Outcome::Ok), 2 => Just(Outcome::Changed),
            1 => Just(Outcome::Failed), 1 => Just(Outcome::Denied),
        ];
        (
            edges,
            prop::collection::vec(outcome, count),
            1_usize..4,
            any::<bool>(),
        )
    })
}

proptest! {
    #[test]
    fn no_step_before_its_dependencies_and_one_outcome_each(
        (edges, outcomes, parallel, go_on) in graph()
    ) {
        let mut workflow = workflow(&edges);
        workflow.max_parallel_tasks = parallel;
        workflow.continue_on_failure = go_on;
        let ran = run(&workflow, outcomes.clone(), 2, never());
        prop_assert!(ran.notes.most <= parallel);
        prop_assert_eq!(ran.finished.len(), edges.len());
        prop_assert!(ran.summary.outcomes.iter().all(Option::is_some));
        for task in &ran.notes.started {
            for on in &edges[*task] {
                prop_assert!(outcomes[*on].succeeded() && ran.notes.started.contains(on));
            }
        }
        if go_on {
            for (task, on) in edges.iter().enumerate() {
                let ready = on.iter().all(|on| ran.summary.outcomes[*on].unwrap().succeeded());
                prop_assert_eq!(ran.notes.started.contains(&task), ready);
            }
        }
    }
}
