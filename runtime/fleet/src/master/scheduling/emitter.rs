//! The events that a run's scheduler emits, on their way into the store in their order. Each has a key that is the same
//! whenever the run is taken up again, so that none is kept twice.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use sloth_workflow::value::base16;
use sloth_workflow::{Event, Outcome, Untrusted};
use tokio::sync::{mpsc, oneshot};

use super::insist::insist;
use crate::store::master::{Ending, Fresh, Store};
use crate::telemetry::Telemetry;

/// Takes the events of one pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Emitter {
    /// A scheduler emits a few events for each call, and waits for them to be kept before it makes the next.
    sender: mpsc::UnboundedSender<Letter>,
    /// Of the pipeline, before each key.
    prefix: String,
    /// The pipeline's.
    workflow: Untrusted,
}

enum Letter {
    Event(Box<Fresh>, Option<Box<End>>),
    /// Somebody waits until all before it is kept; the run ends with it, if it has an ending.
    Flush(Option<Box<Ending>>, oneshot::Sender<Result<(), String>>),
}

/// Most letters that are kept together.
const TOGETHER: usize = 256;
/// How long what nobody waits for is held back, to go with what somebody does.
const HELD: Duration = Duration::from_millis(5);

/// How a task ended, to be counted once that is kept.
struct End {
    workflow: Untrusted,
    task: Untrusted,
    outcome: Outcome,
    duration: Duration,
}

impl Emitter {
    /// Begins to keep what is emitted for a run.
    pub(crate) fn begin(store: Arc<Store>, telemetry: Telemetry, run: String) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(keep(store, telemetry, run, receiver));
        Self {
            sender,
            prefix: String::new(),
            workflow: Untrusted::default(),
        }
    }

    /// The same for one of the run's pipelines.
    pub(crate) fn of_pipeline(&self, index: u32, workflow: &Untrusted) -> Self {
        Self {
            sender: self.sender.clone(),
            prefix: format!("{index}/"),
            workflow: workflow.clone(),
        }
    }

    /// Takes one event. `target` is where it happened; none is the run as a whole.
    pub(crate) fn emit(&self, event: Event, target: Option<String>) {
        let key = format!("{}{}", self.prefix, key(&event, target.as_deref()));
        let fresh = Fresh::of(&event, SystemTime::now(), target.as_deref()).once(key);
        let end = match event {
            Event::StepFinished {
                task,
                outcome,
                duration,
                ..
            } => Some(Box::new(End {
                workflow: self.workflow.clone(),
                task,
                outcome,
                duration,
            })),
            _ => None,
        };
        // The other end lives for as long as this one does.
        let _ = self.sender.send(Letter::Event(Box::new(fresh), end));
    }

    /// Waits until everything emitted so far is kept for good.
    pub(crate) async fn flush(&self) -> Result<(), String> {
        self.ask(None).await
    }

    /// Ends the run with what was emitted so far, as one.
    pub(crate) async fn finish(&self, ending: Ending) -> Result<(), String> {
        self.ask(Some(Box::new(ending))).await
    }

    async fn ask(&self, ending: Option<Box<Ending>>) -> Result<(), String> {
        let (done, kept) = oneshot::channel();
        let _ = self.sender.send(Letter::Flush(ending, done));
        kept.await
            .unwrap_or_else(|_| Err("the master is shutting down".to_owned()))
    }
}

async fn keep(
    store: Arc<Store>,
    telemetry: Telemetry,
    run: String,
    mut letters: mpsc::UnboundedReceiver<Letter>,
) {
    let mut batch = Vec::new();
    let mut events = Vec::new();
    let mut ends = Vec::new();
    let mut problem: Option<String> = None;
    while gather(&mut letters, &mut batch).await {
        let mut flushes = Vec::new();
        let mut ending = None;
        for letter in batch.drain(..) {
            match letter {
                Letter::Event(event, end) => {
                    events.push(*event);
                    ends.push(end);
                }
                Letter::Flush(end, done) => {
                    ending = ending.or(end);
                    flushes.push(done);
                }
            }
        }
        if !events.is_empty() || ending.is_some() {
            let appended = match ending {
                Some(ending) => {
                    insist(|| store.conclude(&run, events.clone(), (*ending).clone())).await
                }
                None => insist(|| store.append_each(&run, events.clone())).await,
            };
            problem = match appended {
                Ok(appended) => {
                    events.clear();
                    // What a run that is taken up again says a second time was counted when it was new.
                    let new = ends.drain(..).zip(appended.new).filter(|(_, new)| *new);
                    for end in new.filter_map(|(end, _)| end) {
                        telemetry.task(&end.workflow, &end.task, end.outcome, end.duration);
                    }
                    None
                }
                // They stay, and are tried again with the next.
                Err(error) => Some(error.to_string()),
            };
        }
        for done in flushes {
            let _ = done.send(problem.clone().map_or(Ok(()), Err));
        }
    }
}

/// Waits for letters, a moment longer if nobody waits for any of them. False when no more come.
async fn gather(letters: &mut mpsc::UnboundedReceiver<Letter>, batch: &mut Vec<Letter>) -> bool {
    if letters.recv_many(batch, TOGETHER).await == 0 {
        return false;
    }
    let held = tokio::time::Instant::now() + HELD;
    let urgent = |batch: &[Letter]| {
        batch
            .iter()
            .any(|letter| matches!(letter, Letter::Flush(..)))
    };
    while batch.len() < TOGETHER && !urgent(batch) {
        match tokio::time::timeout_at(held, letters.recv()).await {
            Ok(Some(letter)) => batch.push(letter),
            Ok(None) | Err(_) => break,
        }
    }
    true
}

/// What tells an event from all others that a scheduler emits in a pipeline.
fn key(event: &Event, target: Option<&str>) -> String {
    let target = target.unwrap_or_default();
    match event {
        Event::RunStarted { .. } => "run-started".to_owned(),
        Event::RunFinished { .. } => "run-finished".to_owned(),
        Event::StepStarted { task, attempt, .. } => {
            format!("started/{target}/{attempt}/{}", task.raw())
        }
        Event::StepRetrying { task, attempt, .. } => {
            format!("retrying/{target}/{attempt}/{}", task.raw())
        }
        Event::StepFinished { task, .. } => format!("finished/{target}/{}", task.raw()),
        // A complaint about a hook: its words tell it from others.
        other => {
            let text = format!("{other:?}");
            format!(
                "other/{target}/{}",
                base16(&Sha256::digest(text.as_bytes()))
            )
        }
    }
}
