//! A run from its beginning to its end. After a restart it is taken up from its beginning again: what is kept of it
//! answers at once, so that it goes on where it was.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt;
use sloth_workflow::scheduler::cancel::{self, Canceller};
use sloth_workflow::scheduler::{Selection, Summary};
use sloth_workflow::{
    Cancel, Clock, Counts, Event, Outcome, Plan, Run, Untrusted, Value, Workflow,
};
use tokio::sync::Semaphore;

use super::Core;
use super::dispatch::Dispatch;
use super::emitter::Emitter;
use crate::store::master::{Ending, RunRow, RunState};
use crate::wire::generated::ForgetRun;
use crate::wire::generated::downward::Kind;

/// The runs that are at work.
pub(crate) struct Courses {
    active: Mutex<HashMap<String, Canceller>>,
    room: Arc<Semaphore>,
}

impl Courses {
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            active: Mutex::default(),
            room: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// Tells a run that it is cancelled, if it is at work.
    pub(super) fn cancel(&self, run: &str) {
        if let Some(canceller) = self.active().get(run) {
            canceller.cancel();
        }
    }

    /// How many are at work or queued.
    pub(super) fn count(&self) -> usize {
        self.active().len()
    }

    fn active(&self) -> MutexGuard<'_, HashMap<String, Canceller>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Begins a run that is kept, or goes on with it.
    pub(super) fn take_up(self: &Arc<Self>, run: RunRow) {
        let (canceller, cancel) = cancel::pair();
        if run.cancelling {
            canceller.cancel();
        }
        let id = run.id.clone();
        if self.courses.active().insert(id.clone(), canceller).is_some() {
            return;
        }
        let core = Arc::clone(self);
        tokio::spawn(async move {
            // A run that cannot be kept is left as it is, for the next start of the master.
            if let Err(problem) = core.follow(&run, cancel).await {
                tracing::error!(run = id, problem, "the run cannot go on");
            }
            core.courses.active().remove(&id);
        });
    }

    async fn follow(self: &Arc<Self>, run: &RunRow, cancel: Cancel) -> Result<(), String> {
        let room = Arc::clone(&self.courses.room).acquire_owned().await;
        let emitter = Emitter::begin(self.store.clone(), run.id.clone());
        let keeping = |error: crate::store::master::Error| error.to_string();
        self.store
            .set_state(&run.id, RunState::Running)
            .await
            .map_err(keeping)?;
        let course = match Course::of(self, run, &emitter) {
            Ok(course) => course,
            // It was looked at when it was submitted: this is another version of the program.
            Err(problem) => {
                let ending = Ending {
                    state: RunState::Failed,
                    counts: Counts::default(),
                    outputs: Value::empty(),
                };
                tracing::error!(run = run.id, problem, "the run cannot be read");
                return self.store.finish(&run.id, ending).await.map_err(keeping);
            }
        };
        let whole = course.finish(&cancel).await;
        emitter.emit(
            Event::RunFinished {
                outcome: whole.outcome,
                counts: whole.counts,
                outputs: whole.outputs.clone(),
                duration: course.clock.now(),
            },
            None,
        );
        emitter.flush().await?;
        let ending = Ending {
            state: RunState::of(whole.outcome),
            counts: whole.counts,
            outputs: whole.outputs,
        };
        self.store.finish(&run.id, ending).await.map_err(keeping)?;
        self.forget(&course);
        drop(room);
        Ok(())
    }

    /// Tells the agents that took part that the run is over.
    fn forget(&self, course: &Course) {
        let mut told = std::collections::BTreeSet::new();
        for pipeline in &course.pipelines {
            let named = pipeline.workflow.tasks.iter().filter_map(|task| task.target.clone());
            told.extend(named.chain([pipeline.target.clone()]));
        }
        for name in told {
            let name = if name == super::LOCAL {
                format!("{name}/{}", course.run.id)
            } else {
                name
            };
            if let Some(line) = self.registry.line(&name) {
                line.send(crate::wire::generated::Downward {
                    kind: Some(Kind::ForgetRun(ForgetRun {
                        run: course.run.id.clone(),
                    })),
                });
            }
        }
    }
}

/// One target's share of a run: the whole workflow, with that as its default target.
pub(super) struct Pipeline {
    pub(super) target: String,
    pub(super) workflow: Arc<Workflow>,
}

struct Course<'a> {
    core: &'a Arc<Core>,
    run: &'a RunRow,
    emitter: &'a Emitter,
    pipelines: Vec<Pipeline>,
    selection: Selection,
    clock: StoredClock,
}

/// How a whole run ended.
struct Whole {
    outcome: Outcome,
    counts: Counts,
    outputs: Value,
}

impl<'a> Course<'a> {
    fn of(core: &'a Arc<Core>, run: &'a RunRow, emitter: &'a Emitter) -> Result<Self, String> {
        let pipelines = pipelines(run)?;
        let first = pipelines.first().ok_or("it has no target")?;
        emitter.emit(
            Event::RunStarted {
                run: run.id.clone(),
                stack: Untrusted::new(run.stack.as_str()),
                workflow: first.workflow.name.clone(),
                bundle: run.digest.clone(),
                check: run.check,
                tasks: first
                    .workflow
                    .tasks
                    .iter()
                    .map(|task| task.name.clone())
                    .collect(),
            },
            None,
        );
        Ok(Self {
            core,
            run,
            emitter,
            selection: Selection {
                only: run.only.iter().map(|task| *task as usize).collect(),
                skip: run.skip.iter().map(|task| *task as usize).collect(),
            },
            clock: StoredClock::since(run.submitted),
            pipelines,
        })
    }

    async fn finish(&self, cancel: &Cancel) -> Whole {
        let at_once = match self.run.limit {
            0 => self.pipelines.len().max(1),
            limit => limit as usize,
        };
        let summaries: Vec<(usize, Summary)> = futures_util::stream::iter(0..self.pipelines.len())
            .map(|index| async move { (index, self.pipeline(index, cancel.clone()).await) })
            .buffer_unordered(at_once)
            .collect()
            .await;
        self.whole(summaries, cancel)
    }

    async fn pipeline(&self, index: usize, cancel: Cancel) -> Summary {
        let Pipeline { target, workflow } = &self.pipelines[index];
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let emitter = self.emitter.of_pipeline(number);
        let dispatch = Dispatch {
            core: Arc::clone(self.core),
            run: self.run.id.clone(),
            pipeline: target.clone(),
            index: number,
            workflow: Arc::clone(workflow),
            bundle: self.run.bundle.clone(),
            stack: self.run.stack.clone(),
            check: self.run.check,
            diff: self.run.diff,
            queue_timeout: self
                .run
                .queue_timeout
                .unwrap_or(self.core.settings.queue_timeout),
            emitter: emitter.clone(),
            seats: Mutex::default(),
        };
        let draws = Draws::of(&self.run.id, number);
        let run = Run {
            workflow,
            selection: &self.selection,
            executor: &dispatch,
            clock: &self.clock,
            cancel,
            emit: &|event, at| {
                let target = at.map_or_else(|| target.clone(), str::to_owned);
                emitter.emit(event, Some(target));
            },
            jitter: &|| draws.next(),
        };
        run.finish().await
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
            let named = summaries.into_iter().map(|(index, summary)| {
                (self.pipelines[index].target.clone(), summary.outputs)
            });
            Value::Map(named.collect::<BTreeMap<_, _>>().into_iter().collect())
        };
        Whole {
            outcome,
            counts,
            outputs,
        }
    }
}

/// Each target's share of a run, as it was placed when it was submitted.
pub(super) fn pipelines(run: &RunRow) -> Result<Vec<Pipeline>, String> {
    let plan = Plan::from_cbor(&run.plan, &run.file).map_err(|error| error.to_string())?;
    let workflow = plan
        .workflows
        .into_iter()
        .find(|workflow| workflow.name.raw() == run.workflow)
        .ok_or_else(|| format!("its file has no workflow `{}`", run.workflow))?;
    let workflow = Arc::new(workflow);
    Ok(run
        .targets
        .iter()
        .map(|target| Pipeline {
            target: target.clone(),
            workflow: Arc::clone(&workflow),
        })
        .collect())
}

/// Time since a run was submitted, also across restarts of the master. Within one life of it, jumps of the wall
/// clock are not seen.
struct StoredClock {
    before: Duration,
    began: Instant,
}

impl StoredClock {
    fn since(submitted: SystemTime) -> Self {
        Self {
            before: submitted.elapsed().unwrap_or_default(),
            began: Instant::now(),
        }
    }
}

impl Clock for StoredClock {
    fn now(&self) -> Duration {
        self.before + self.began.elapsed()
    }

    async fn sleep_until(&self, moment: Duration) {
        tokio::time::sleep(moment.saturating_sub(self.now())).await;
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

    #[expect(clippy::cast_precision_loss, reason = "a number from 0 to 1 has no more")]
    fn next(&self) -> f64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        let step = self.drawn.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let mut mixed = self.seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}
