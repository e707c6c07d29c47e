//! A run from its beginning to its end. After a restart it is taken up from its beginning again: what is kept of it
//! answers at once, so that it goes on where it was.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use sloth_workflow::event::Level;
use sloth_workflow::placement::Pipeline;
use sloth_workflow::scheduler::cancel::{self, Canceller};
use sloth_workflow::scheduler::{Selection, Summary};
use sloth_workflow::{
    Cancel, Clock, Counts, Event, Outcome, Run, Untrusted, Value, Workflow, cbor,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::dispatch::Dispatch;
use super::emitter::Emitter;
use super::insist::insist;
use super::lock::Asked;
use super::replay::Replay;
use super::request::Wanted;
use super::targets::Targets;
use crate::master::Core;
use crate::master::LOCAL;
use crate::store::master::{Ending, Error, Past};
use crate::wire::generated::downward::Kind;
use crate::wire::generated::{Downward, ForgetRun};

/// Most bytes of outputs that the end of a run has.
const MOST_OUTPUTS: usize = 8 << 20;

/// How long a run may go without a call until it is noted by itself that it has begun.
const UNCALLED: Duration = Duration::from_millis(200);

/// The runs that are at work.
pub(crate) struct Courses {
    active: Mutex<HashMap<String, Canceller>>,
    room: Arc<Semaphore>,
}

impl Courses {
    pub(crate) fn new(at_once: usize) -> Self {
        Self {
            active: Mutex::default(),
            room: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// Tells a run that it is cancelled, if it is at work.
    pub(crate) fn cancel(&self, run: &str) {
        if let Some(canceller) = self.active().get(run) {
            canceller.give();
        }
    }

    fn active(&self) -> MutexGuard<'_, HashMap<String, Canceller>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Since when a run is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// It was submitted just now: nothing has come of it.
    Now,
    /// A master before this one had it. It may have begun then, and may have been cancelled.
    Before { begun: bool, cancelling: bool },
}

impl Core {
    /// Begins a run that is kept, or goes on with it.
    pub(crate) fn take_up(self: &Arc<Self>, run: &str, since: Since) {
        let (canceller, cancel) = cancel::pair();
        if matches!(
            since,
            Since::Before {
                cancelling: true,
                ..
            }
        ) {
            canceller.give();
        }
        // What had begun goes on before anything else begins.
        let room = match since {
            Since::Before { begun: true, .. } => {
                Arc::clone(&self.courses.room).try_acquire_owned().ok()
            }
            _ => None,
        };
        let run = run.to_owned();
        match self.courses.active().entry(run.clone()) {
            // Whoever cancels it must still find the one that it listens to.
            Entry::Occupied(_) => return,
            Entry::Vacant(place) => drop(place.insert(canceller)),
        }
        let core = Arc::clone(self);
        tokio::spawn(async move {
            // A run that cannot be kept is left as it is, for the next start of the master.
            if let Err(problem) = core.follow(&run, (since, room), cancel).await {
                tracing::error!(run, problem, "the run cannot go on");
            }
            core.courses.active().remove(&run);
        });
    }

    async fn follow(
        self: &Arc<Self>,
        run: &str,
        (since, room): (Since, Option<OwnedSemaphorePermit>),
        cancel: Cancel,
    ) -> Result<(), String> {
        let keeping = |error: Error| error.to_string();
        let detail = insist(|| self.store.detail(run)).await.map_err(keeping)?;
        if detail.run.state.has_ended() {
            return Ok(());
        }
        let wanted = match Wanted::of(detail) {
            Ok(wanted) => wanted,
            // It was looked at when it was submitted: that was another version of the program.
            Err(problem) => {
                tracing::error!(run, problem, "the run cannot be read");
                let ending = ending(Outcome::Failed, Counts::default(), &Value::empty());
                let finished = insist(|| self.store.finish(run, ending.clone())).await;
                return finished.map(drop).map_err(keeping);
            }
        };
        let emitter = Emitter::begin(
            Arc::clone(&self.store),
            self.telemetry.clone(),
            run.to_owned(),
        );
        insist(|| self.adopt(&wanted)).await.map_err(keeping)?;
        let past = match since {
            Since::Now if wanted.request.after.is_none() => Past::default(),
            _ => insist(|| self.store.past(run)).await.map_err(keeping)?,
        };
        let replay = Arc::new(Replay::of(past, wanted.submitted));
        let course = Course::of(self, &wanted, &emitter, &replay);
        let lock = self.lock(run, wanted.lock(), &emitter, &cancel);
        let lock = lock.await.map_err(keeping)?;
        // Only now: whoever waits for a lock takes no room from the one that has it. What is cancelled needs none.
        let _room = match room {
            None => tokio::select! {
                room = Arc::clone(&self.courses.room).acquire_owned() => room.ok(),
                () = cancel.given() => None,
            },
            had => had,
        };
        let (_held, refused) = match lock {
            Asked::Free(held) => (held, None),
            Asked::Taken(outcome, message) => (None, Some((outcome, message))),
        };
        let (canceller, told) = cancel::pair();
        let telling = async {
            replay.tell(&cancel, &canceller).await;
            std::future::pending::<()>().await;
        };
        // Opening its first call begins it. One that waits before that, for a busy target perhaps, has begun as well.
        let beginning = async {
            tokio::time::sleep(UNCALLED).await;
            if let Err(error) = insist(|| self.store.begin(run)).await {
                tracing::warn!(run, %error, "the run is not noted as begun");
            }
            std::future::pending::<()>().await;
        };
        let mut whole = tokio::select! {
            biased;
            () = telling => unreachable!("it waits for ever"),
            () = beginning => unreachable!("it waits for ever"),
            whole = course.finish(&told, refused.as_ref()) => whole,
        };
        whole.fit(&emitter);
        emitter.emit(
            Event::RunFinished {
                outcome: whole.outcome,
                counts: whole.counts,
                outputs: whole.outputs.clone(),
                duration: replay.now(),
            },
            None,
        );
        let ending = ending(whole.outcome, whole.counts, &whole.outputs);
        emitter.finish(ending).await?;
        self.forget(&wanted);
        Ok(())
    }

    /// Tells the agents that took part that the run is over.
    fn forget(&self, wanted: &Wanted) {
        for target in wanted.targets() {
            if let Some(line) = self.registry.line(&line_of(target, &wanted.id)) {
                line.send(Downward {
                    kind: Some(Kind::ForgetRun(ForgetRun {
                        run: wanted.id.clone(),
                    })),
                });
            }
        }
    }
}

/// The name that a target has in the registry. An operator's own machine takes part in one run only.
pub(crate) fn line_of(target: &str, run: &str) -> String {
    if target == LOCAL {
        format!("{LOCAL}/{run}")
    } else {
        target.to_owned()
    }
}

fn ending(outcome: Outcome, counts: Counts, outputs: &Value) -> Ending {
    Ending {
        outcome,
        counts,
        outputs: cbor::encode(outputs),
        time: SystemTime::now(),
    }
}

struct Course<'a> {
    core: &'a Arc<Core>,
    wanted: &'a Wanted,
    emitter: &'a Emitter,
    selection: Selection,
    replay: &'a Arc<Replay>,
    targets: Arc<Targets>,
}

/// How a whole run ended.
struct Whole {
    outcome: Outcome,
    counts: Counts,
    outputs: Value,
}

impl Whole {
    /// Leaves out outputs that take more than a message has. They are not lost: the end of each step tells them.
    fn fit(&mut self, emitter: &Emitter) {
        let weight = self.outputs.weight();
        if weight <= MOST_OUTPUTS {
            return;
        }
        self.outputs = Value::empty();
        let message = format!(
            "the outputs of the run take {} MiB and are left out of its end, which has room for {} MiB; the end of \
             each step has its own",
            weight.div_ceil(1 << 20),
            MOST_OUTPUTS >> 20
        );
        let event = Event::Log {
            task: Untrusted::default(),
            level: Level::Warn,
            message: message.into(),
        };
        emitter.emit(event, None);
    }
}

impl<'a> Course<'a> {
    fn of(
        core: &'a Arc<Core>,
        wanted: &'a Wanted,
        emitter: &'a Emitter,
        replay: &'a Arc<Replay>,
    ) -> Self {
        let first = wanted.pipelines.first().map(|pipeline| &pipeline.workflow);
        emitter.emit(
            Event::RunStarted {
                run: wanted.id.clone(),
                stack: Untrusted::new(wanted.stack.as_str()),
                workflow: first.map(|first| first.name.clone()).unwrap_or_default(),
                bundle: wanted.digest.clone(),
                check: wanted.check,
                tasks: first.map(Workflow::task_names).unwrap_or_default(),
            },
            None,
        );
        let indices = |tasks: &[u32]| tasks.iter().map(|task| *task as usize).collect();
        Self {
            core,
            wanted,
            emitter,
            selection: Selection {
                only: indices(&wanted.request.only),
                skip: indices(&wanted.request.skip),
            },
            replay,
            targets: Targets::at_most(wanted.limit),
        }
    }

    /// To its end; a run that is refused ends without calling anything.
    async fn finish(&self, cancel: &Cancel, refused: Option<&(Outcome, String)>) -> Whole {
        let count = self.wanted.pipelines.len();
        let at_once = match self.wanted.limit {
            0 => count.max(1),
            limit => limit,
        };
        let summaries: Vec<(usize, Summary)> = futures_util::stream::iter(0..count)
            .map(
                |index| async move { (index, self.pipeline(index, cancel.clone(), refused).await) },
            )
            .buffer_unordered(at_once)
            .collect()
            .await;
        self.whole(summaries, cancel)
    }

    async fn pipeline(
        &self,
        index: usize,
        cancel: Cancel,
        refused: Option<&(Outcome, String)>,
    ) -> Summary {
        let wanted = self.wanted;
        let Pipeline { target, workflow } = &wanted.pipelines[index];
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let emitter = self.emitter.of_pipeline(number, &workflow.name);
        let dispatch = Dispatch {
            core: Arc::clone(self.core),
            run: wanted.id.clone(),
            pipeline: target.clone(),
            index: number,
            workflow: workflow.clone(),
            content: wanted.content.clone(),
            stack: wanted.stack.clone(),
            check: wanted.check,
            diff: wanted.request.diff,
            queue_timeout: wanted.queue_timeout(self.core.settings.queue_timeout),
            emitter: emitter.clone(),
            replay: Arc::clone(self.replay),
            targets: Arc::clone(&self.targets),
            seats: Mutex::default(),
        };
        let draws = Draws::of(&wanted.id, number);
        let run = Run {
            workflow,
            selection: &self.selection,
            executor: &dispatch,
            clock: &**self.replay,
            cancel,
            emit: &|event, at: Option<&str>| {
                emitter.emit(event, Some(at.unwrap_or(target).to_owned()));
            },
            jitter: &|| draws.next(),
        };
        match refused {
            None => run.finish().await,
            Some((outcome, message)) => run.refuse(*outcome, message),
        }
    }

    fn whole(&self, mut summaries: Vec<(usize, Summary)>, cancel: &Cancel) -> Whole {
        summaries.sort_by_key(|(index, _)| *index);
        let mut counts = Counts::default();
        let mut outcomes = Counts::default();
        for (_, summary) in &summaries {
            counts.join(&summary.counts);
            outcomes.add(summary.outcome);
        }
        let outcome = match outcomes.overall() {
            outcome if !outcome.succeeded() && cancel.is_given() => Outcome::Cancelled,
            outcome => outcome,
        };
        let outputs = if summaries.len() == 1 {
            summaries.remove(0).1.outputs
        } else {
            let pipelines = &self.wanted.pipelines;
            let named = summaries
                .into_iter()
                .map(|(index, summary)| (pipelines[index].target.clone(), summary.outputs));
            Value::Map(named.collect())
        };
        Whole {
            outcome,
            counts,
            outputs,
        }
    }
}

/// Numbers from 0 to 1, the same row of them each time that a pipeline is taken up.
struct Draws {
    seed: u64,
    drawn: AtomicU64,
}

impl Draws {
    fn of(run: &str, pipeline: u32) -> Self {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (run, pipeline).hash(&mut hasher);
        Self {
            seed: hasher.finish(),
            drawn: AtomicU64::new(0),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number from 0 to 1 has no more"
    )]
    fn next(&self) -> f64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        let step = self.drawn.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let mut mixed = self
            .seed
            .wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}
