//! The events that a run's scheduler emits, on their way into the store in their order. Each has a key that is the same
//! whenever the run is taken up again, so that none is kept twice.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use sloth_workflow::value::base16;
use sloth_workflow::{Event, Outcome, Untrusted};
use tokio::sync::{mpsc, oneshot};

use super::insist::insist;
use crate::store::master::{Appended, Call, Ending, Fresh, Opening, Store};
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
    /// Somebody waits until all before it is kept, and a call is open.
    Open(Opening, oneshot::Sender<Result<Opened, String>>),
    /// All before it is kept, and the run ends with it.
    Finish(Box<Ending>, oneshot::Sender<Result<(), String>>),
}

/// A call, and whether it was given out when it was opened.
type Opened = (Call, bool);

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

    /// Opens a call once everything emitted so far is kept for good, as one with that.
    pub(crate) async fn open(&self, opening: Opening) -> Result<Opened, String> {
        let (done, opened) = oneshot::channel();
        let _ = self.sender.send(Letter::Open(opening, done));
        opened.await.unwrap_or_else(|_| Err(closing()))
    }

    /// Ends the run with what was emitted so far, as one.
    pub(crate) async fn finish(&self, ending: Ending) -> Result<(), String> {
        let (done, kept) = oneshot::channel();
        let _ = self.sender.send(Letter::Finish(Box::new(ending), done));
        kept.await.unwrap_or_else(|_| Err(closing()))
    }
}

fn closing() -> String {
    "the master is shutting down".to_owned()
}

/// Keeps what comes, for as long as anybody may send more.
async fn keep(
    store: Arc<Store>,
    telemetry: Telemetry,
    run: String,
    mut letters: mpsc::UnboundedReceiver<Letter>,
) {
    let mut keeper = Keeper {
        store,
        telemetry,
        run,
        events: Vec::new(),
        ends: Vec::new(),
    };
    let mut batch = Vec::new();
    while gather(&mut letters, &mut batch).await {
        let (mut openings, mut waiting) = (Vec::new(), Vec::new());
        let mut finish = None;
        for letter in batch.drain(..) {
            match letter {
                Letter::Event(event, end) => {
                    keeper.events.push(*event);
                    keeper.ends.push(end);
                }
                Letter::Open(opening, done) => {
                    openings.push(opening);
                    waiting.push(done);
                }
                Letter::Finish(ending, done) => finish = Some((ending, done)),
            }
        }
        if !openings.is_empty() {
            keeper.open(&openings, waiting).await;
        }
        if let Some((ending, done)) = finish {
            let _ = done.send(keeper.conclude(&ending).await);
        } else if !keeper.events.is_empty() {
            keeper.append().await;
        }
    }
}

/// What is to be kept of a run. What could not be kept stays, and is tried again with the next.
struct Keeper {
    store: Arc<Store>,
    telemetry: Telemetry,
    run: String,
    events: Vec<Fresh>,
    /// Of each event, what ended with it.
    ends: Vec<Option<Box<End>>>,
}

impl Keeper {
    async fn open(
        &mut self,
        openings: &[Opening],
        waiting: Vec<oneshot::Sender<Result<Opened, String>>>,
    ) {
        let open = || {
            let (events, openings) = (self.events.clone(), openings.to_vec());
            self.store.open_calls(&self.run, events, openings)
        };
        let kept = insist(open).await;
        let calls = match kept {
            Ok((appended, calls)) => {
                self.kept(appended);
                calls.into_iter().map(Ok).collect()
            }
            Err(error) => vec![Err(error.to_string()); waiting.len()],
        };
        for (done, call) in waiting.into_iter().zip(calls) {
            // Who has gone comes to it again, if it is of any use.
            let _ = done.send(call);
        }
    }

    async fn conclude(&mut self, ending: &Ending) -> Result<(), String> {
        let conclude = || {
            let (events, ending) = (self.events.clone(), ending.clone());
            self.store.conclude(&self.run, events, ending)
        };
        let appended = insist(conclude).await.map_err(|error| error.to_string())?;
        self.kept(appended);
        Ok(())
    }

    async fn append(&mut self) {
        let append = || self.store.append_each(&self.run, self.events.clone());
        if let Ok(appended) = insist(append).await {
            self.kept(appended);
        }
    }

    fn kept(&mut self, appended: Appended) {
        self.events.clear();
        // What a run that is taken up again says a second time was counted when it was new.
        let new = self.ends.drain(..).zip(appended.new);
        for end in new.filter_map(|(end, new)| end.filter(|_| new)) {
            let End {
                workflow,
                task,
                outcome,
                duration,
            } = &*end;
            self.telemetry.task(workflow, task, *outcome, *duration);
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
            .any(|letter| !matches!(letter, Letter::Event(..)))
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
