//! A world in which time passes when nothing else can happen, and steps end as they are told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::{Either, select};
use sloth_workflow::scheduler::{Canceller, Selection, Summary, cancel};
use sloth_workflow::{
    Artifact, Cancel, Clock, Event, Executor, Finished, Outcome, Part, Run, Step, Subject, Task,
    Untrusted, Value, Workflow,
};

#[derive(Default)]
pub(crate) struct Virtual(Mutex<(Duration, Vec<(Duration, Waker)>)>);

impl Virtual {
    /// Goes on to the next moment that somebody awaits; false when nobody does.
    fn pass(&self) -> bool {
        let mut inner = self.0.lock().unwrap();
        let Some(next) = inner.1.iter().map(|(moment, _)| *moment).min() else {
            return false;
        };
        inner.0 = inner.0.max(next);
        let (due, later) = std::mem::take(&mut inner.1)
            .into_iter()
            .partition(|(moment, _)| *moment <= next);
        inner.1 = later;
        drop(inner);
        let due: Vec<(Duration, Waker)> = due;
        for (_, waker) in due {
            waker.wake();
        }
        true
    }
}

impl Clock for Virtual {
    fn now(&self) -> Duration {
        self.0.lock().unwrap().0
    }

    fn sleep_until(&self, moment: Duration) -> impl Future<Output = ()> + Send {
        std::future::poll_fn(move |context: &mut Context<'_>| {
            let mut inner = self.0.lock().unwrap();
            if inner.0 >= moment {
                return Poll::Ready(());
            }
            inner.1.push((moment, context.waker().clone()));
            Poll::Pending
        })
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn block_on<T>(clock: &Virtual, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        while !flag.0.swap(false, Ordering::Relaxed) {
            assert!(clock.pass(), "nothing can happen any more");
        }
    }
}

/// How a call ends, and after how long.
pub(crate) struct Reply {
    pub(crate) finished: Finished,
    pub(crate) takes: Duration,
    /// Time that passes at its end before anybody else can act.
    pub(crate) blocks: Duration,
    /// The operator cancels at its end before anybody else can act.
    pub(crate) cancels: bool,
}

/// Ends so after a second.
pub(crate) fn ends(outcome: Outcome) -> Reply {
    Reply {
        finished: Finished::with(outcome, ""),
        takes: Duration::from_secs(1),
        blocks: Duration::ZERO,
        cancels: false,
    }
}

/// Ends so after a second, with a message.
pub(crate) fn says(outcome: Outcome, message: &str) -> Reply {
    let mut reply = ends(outcome);
    reply.finished.message = message.into();
    reply
}

pub(crate) fn answers(answer: bool) -> Reply {
    let mut reply = ends(Outcome::Ok);
    reply.finished.answer = answer;
    reply
}

pub(crate) fn after(seconds: u64, outcome: Outcome) -> Reply {
    Reply {
        takes: Duration::from_secs(seconds),
        ..ends(outcome)
    }
}

/// A call as it was made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) step: Step,
    pub(crate) seat: usize,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

impl Call {
    /// The task's index; none for the workflow's own hooks.
    pub(crate) fn task(&self) -> Option<usize> {
        match self.step.subject {
            Subject::Task(task) => Some(task),
            Subject::Workflow => None,
        }
    }
}

struct Script<'a> {
    clock: &'a Virtual,
    canceller: &'a Canceller,
    reply: &'a (dyn Fn(&Step) -> Reply + Sync),
    calls: Mutex<Vec<Call>>,
    seats: Mutex<Vec<(Subject, Vec<Artifact>)>>,
}

impl Executor for Script<'_> {
    type Seat = usize;

    fn seat(&self, subject: Subject, artifacts: Vec<Artifact>) -> usize {
        let mut seats = self.seats.lock().unwrap();
        seats.push((subject, artifacts));
        seats.len() - 1
    }

    async fn execute(&self, seat: &mut usize, step: Step, cancel: Cancel) -> Finished {
        let reply = (self.reply)(&step);
        let from = self.clock.now();
        let call = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(Call {
                step,
                seat: *seat,
                from,
                to: Duration::MAX,
            });
            calls.len() - 1
        };
        let given = std::pin::pin!(cancel.given());
        let over = std::pin::pin!(self.clock.sleep_until(from + reply.takes));
        let finished = match select(given, over).await {
            Either::Left(_) => Finished::with(Outcome::Cancelled, "the run was cancelled"),
            Either::Right(_) => reply.finished,
        };
        self.clock.0.lock().unwrap().0 += reply.blocks;
        if reply.cancels {
            self.canceller.give();
        }
        self.calls.lock().unwrap()[call].to = self.clock.now();
        finished
    }
}

/// What to run, and how the world answers.
pub(crate) struct World<'a> {
    pub(crate) workflow: Workflow,
    pub(crate) selection: Selection,
    pub(crate) reply: Box<dyn Fn(&Step) -> Reply + Sync + 'a>,
    pub(crate) cancel_at: Option<Duration>,
    pub(crate) jitter: f64,
}

/// What happened.
pub(crate) struct Ran {
    pub(crate) summary: Summary,
    pub(crate) calls: Vec<Call>,
    pub(crate) seats: Vec<(Subject, Vec<Artifact>)>,
    pub(crate) events: Vec<Event>,
    pub(crate) took: Duration,
    names: Vec<String>,
}

impl<'a> World<'a> {
    pub(crate) fn of(tasks: Vec<Task>, reply: impl Fn(&Step) -> Reply + Sync + 'a) -> Self {
        Self {
            workflow: Workflow::named("w", 1, tasks).unwrap(),
            selection: Selection::default(),
            reply: Box::new(reply),
            cancel_at: None,
            jitter: 0.0,
        }
    }

    pub(crate) fn hooks(mut self, parts: &[Part]) -> Self {
        self.workflow.hooks = parts.iter().copied().collect();
        self
    }

    pub(crate) fn parallel(mut self, most: usize) -> Self {
        self.workflow.max_parallel_tasks = most;
        self
    }

    pub(crate) fn go_on(mut self) -> Self {
        self.workflow.continue_on_failure = true;
        self
    }

    pub(crate) fn timeout(mut self, seconds: u64) -> Self {
        self.workflow.timeout = Some(Duration::from_secs(seconds));
        self
    }

    pub(crate) fn cancelled_at(mut self, moment: Duration) -> Self {
        self.cancel_at = Some(moment);
        self
    }

    pub(crate) fn run(self) -> Ran {
        let clock = Virtual::default();
        let events = Mutex::new(Vec::new());
        let (canceller, cancel) = cancel::pair();
        if self.cancel_at == Some(Duration::ZERO) {
            canceller.give();
        }
        let executor = Script {
            clock: &clock,
            canceller: &canceller,
            reply: &self.reply,
            calls: Mutex::default(),
            seats: Mutex::default(),
        };
        let summary = {
            let run = Run {
                workflow: &self.workflow,
                selection: &self.selection,
                executor: &executor,
                clock: &clock,
                cancel,
                emit: &|event, _| events.lock().unwrap().push(event),
                jitter: &|| self.jitter,
            };
            let operator = async {
                if let Some(moment) = self.cancel_at {
                    clock.sleep_until(moment).await;
                    canceller.give();
                }
                // A dropped giver says that no signal will come; this one may yet.
                std::future::pending::<()>().await;
            };
            let finish = sendable(run.finish());
            block_on(&clock, async {
                let (finish, operator) = (std::pin::pin!(finish), std::pin::pin!(operator));
                match select(finish, operator).await {
                    Either::Left((summary, _)) => summary,
                    Either::Right(_) => unreachable!("the operator waits on"),
                }
            })
        };
        Ran {
            summary,
            took: clock.now(),
            calls: executor.calls.into_inner().unwrap(),
            seats: executor.seats.into_inner().unwrap(),
            events: events.into_inner().unwrap(),
            names: names(&self.workflow),
        }
    }
}

/// A run must be able to move between threads.
fn sendable<F: Future + Send>(future: F) -> F {
    future
}

fn names(workflow: &Workflow) -> Vec<String> {
    let name = |task: &Task| task.name.raw().to_owned();
    workflow.tasks.iter().map(name).collect()
}

impl Ran {
    /// The calls in the order they were made: `a command`, `w on-start`, `a command 2`.
    pub(crate) fn called(&self) -> Vec<String> {
        let spelt = |call: &Call| {
            let name = call.task().map_or("w", |task| &self.names[task]);
            let part = call.step.part.name();
            match call.step.attempt {
                1 => format!("{name} {part}"),
                attempt => format!("{name} {part} {attempt}"),
            }
        };
        self.calls.iter().map(spelt).collect()
    }

    /// How tasks ended, in that order: `a=ok`, `b=skipped none of …`.
    pub(crate) fn finished(&self) -> Vec<String> {
        let spelt = |event: &Event| match event {
            Event::StepFinished {
                task,
                outcome,
                message,
                ..
            } => {
                let text = format!("{}={} {}", task.raw(), outcome.word(), message.raw());
                Some(text.trim_end().to_owned())
            }
            _ => None,
        };
        self.events.iter().filter_map(spelt).collect()
    }

    /// The log lines of the scheduler itself: `a: on_failure failed: …`.
    pub(crate) fn logged(&self) -> Vec<String> {
        let spelt = |event: &Event| match event {
            Event::Log { task, message, .. } => Some(format!("{}: {}", task.raw(), message.raw())),
            _ => None,
        };
        self.events.iter().filter_map(spelt).collect()
    }

    /// The delays before further attempts, in milliseconds.
    pub(crate) fn delays(&self) -> Vec<u128> {
        let delay = |event: &Event| match event {
            Event::StepRetrying { delay, .. } => Some(delay.as_millis()),
            _ => None,
        };
        self.events.iter().filter_map(delay).collect()
    }
}

pub(crate) fn task(name: &str) -> Task {
    Task::named(name, 1)
}

pub(crate) fn depending(name: &str, on: &[&str]) -> Task {
    Task {
        depends_on: texts(on),
        ..task(name)
    }
}

pub(crate) fn rescuing(name: &str, from: &[&str]) -> Task {
    Task {
        next_if_fail: texts(from),
        ..task(name)
    }
}

pub(crate) fn hooked(name: &str, parts: &[Part]) -> Task {
    Task {
        hooks: parts.iter().copied().collect(),
        ..task(name)
    }
}

pub(crate) fn texts(texts: &[&str]) -> Vec<Untrusted> {
    texts.iter().map(|text| Untrusted::new(*text)).collect()
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str::<serde_json::Value>(text)
        .unwrap()
        .into()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
