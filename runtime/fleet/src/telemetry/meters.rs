//! Where things are counted.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric as Registered, Registry};
use sloth_policy::Capability;
use sloth_workflow::{Outcome, Untrusted};

use super::catalogue::{
    AGENTS, At, COMMIT, DENIALS, GRPC, INFO, INSTANTIATE, Kind, Metric, QUEUE, RUNNING,
    TASK_DURATION, TASKS, UPTIME,
};
use super::names::{Names, OTHER, label};
use super::subject::Sight;
use super::telemetry::Mode;
use super::text;

/// Most workflows that are told apart: with eight ways to end, 808 series.
const WORKFLOWS: usize = 100;
/// Most tasks that are told apart: with those of all other workflows' other tasks, 301 histograms of 14 series.
const TASK_NAMES: usize = 200;

/// Seconds that tasks take.
const LONG: [f64; 11] = [
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0,
];
/// Seconds that a disk takes.
const DISK: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];
/// Seconds that making an instance takes.
const SHORT: [f64; 11] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    status: &'static str,
    workflow: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Took {
    workflow: String,
    task: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    capability: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Info {
    version: String,
    os: &'static str,
    arch: &'static str,
}

type Durations = Family<Took, Histogram, fn() -> Histogram>;

#[derive(Debug)]
pub(super) struct Meters {
    registry: Registry,
    began: Instant,
    workflows: Names,
    names: Names,
    tasks: Family<Ended, Counter>,
    durations: Durations,
    denials: Family<Refused, Counter>,
    grpc: Family<Answered, Counter>,
    running: Gauge,
    queue: Gauge,
    agents: Family<State, Gauge>,
    uptime: Gauge<f64, AtomicU64>,
    pub(super) instantiate: Histogram,
    pub(super) commit: Histogram,
}

impl Meters {
    pub(super) fn of(mode: &Mode) -> Self {
        let mut meters = Self {
            registry: Registry::default(),
            began: Instant::now(),
            workflows: Names::at_most(WORKFLOWS),
            names: Names::at_most(TASK_NAMES),
            tasks: Family::default(),
            durations: Durations::new_with_constructor(|| Histogram::new(LONG)),
            denials: Family::default(),
            grpc: Family::default(),
            running: Gauge::default(),
            queue: Gauge::default(),
            agents: Family::default(),
            uptime: Gauge::default(),
            instantiate: Histogram::new(SHORT),
            commit: Histogram::new(DISK),
        };
        let info = Family::<Info, Gauge>::default();
        if let Mode::Agent { version } = mode {
            let told = Info {
                version: version.clone(),
                os: std::env::consts::OS,
                arch: std::env::consts::ARCH,
            };
            info.get_or_create(&told).set(1);
        }
        meters.registry = Shelf::of(mode)
            .put(&TASKS, meters.tasks.clone())
            .put(&TASK_DURATION, meters.durations.clone())
            .put(&RUNNING, meters.running.clone())
            .put(&AGENTS, meters.agents.clone())
            .put(&QUEUE, meters.queue.clone())
            .put(&INSTANTIATE, meters.instantiate.clone())
            .put(&DENIALS, meters.denials.clone())
            .put(&GRPC, meters.grpc.clone())
            .put(&INFO, info)
            .put(&UPTIME, meters.uptime.clone())
            .put(&COMMIT, meters.commit.clone())
            .registry;
        meters
    }

    /// A task ended.
    pub(super) fn task(
        &self,
        workflow: &Untrusted,
        task: &Untrusted,
        outcome: Outcome,
        took: Duration,
    ) {
        let workflow = label(workflow).filter(|name| self.workflows.admits(name));
        let workflow = workflow.unwrap_or_else(|| OTHER.to_owned());
        let ended = Ended {
            status: outcome.word(),
            workflow: workflow.clone(),
        };
        self.tasks.get_or_create(&ended).inc();
        // One that was never begun took no time.
        if outcome == Outcome::Skipped {
            return;
        }
        // No name has a line end in it: what is escaped is one line.
        let task = label(task).filter(|task| self.names.admits(&format!("{workflow}\n{task}")));
        let took_part = Took {
            workflow,
            task: task.unwrap_or_else(|| OTHER.to_owned()),
        };
        self.durations
            .get_or_create(&took_part)
            .observe(took.as_secs_f64());
    }

    /// Something was refused.
    pub(super) fn denial(&self, capability: &str) {
        let refused = Refused {
            capability: Capability::from_name(capability).map_or(OTHER, Capability::name),
        };
        self.denials.get_or_create(&refused).inc();
    }

    /// A call of a port ended.
    pub(super) fn answered(&self, method: Option<&'static str>, status: &'static str) {
        let answered = Answered {
            method: method.unwrap_or(OTHER),
            status,
        };
        self.grpc.get_or_create(&answered).inc();
    }

    /// Everything as it is now, with what was just seen.
    pub(super) fn text(&self, sight: &Sight) -> String {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.running.set(count(sight.running));
        self.uptime.set(self.began.elapsed().as_secs_f64());
        if let Some(members) = &sight.members {
            self.queue.set(count(members.waiting));
            for (state, agents) in [
                ("online", members.online),
                ("lost", members.lost),
                ("drained", members.drained),
            ] {
                self.agents
                    .get_or_create(&State { state })
                    .set(count(agents));
            }
        }
        text::exposed(&self.registry)
    }
}

/// The metrics that a node serves.
struct Shelf<'a> {
    mode: &'a Mode,
    registry: Registry,
}

impl<'a> Shelf<'a> {
    fn of(mode: &'a Mode) -> Self {
        Self {
            mode,
            registry: Registry::default(),
        }
    }

    /// Adds a metric, if it makes sense for the node.
    fn put(mut self, metric: &Metric, counted: impl Registered) -> Self {
        let serves = match metric.at {
            At::Both => true,
            At::Master => *self.mode == Mode::Master,
            At::Agent => matches!(self.mode, Mode::Agent { .. }),
        };
        if serves {
            // A counter's end is put there when it is told.
            let name = match metric.kind {
                Kind::Counter => metric.name.trim_end_matches(text::TOTAL),
                Kind::Gauge | Kind::Histogram => metric.name,
            };
            self.registry.register(name, metric.help, counted);
        }
        self
    }
}
