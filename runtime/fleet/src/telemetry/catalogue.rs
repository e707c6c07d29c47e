//! Every metric that there is. The guides, the rules and the dashboard are held against this list.

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// As it is scraped.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    /// What it means; no full stop, since the text has one.
    pub help: &'static str,
    /// Who serves it.
    pub at: At,
}

/// What can be done with a metric's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 when the process starts.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often something took how long.
    Histogram,
}

/// Which nodes a metric makes sense for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Both,
    Master,
    Agent,
}

impl Kind {
    /// As Prometheus spells it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const fn metric(
    name: &'static str,
    kind: Kind,
    at: At,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        help,
        at,
    }
}

pub(super) const TASKS: Metric = metric(
    "sloth_tasks_total",
    Kind::Counter,
    At::Both,
    &["status", "workflow"],
    "Tasks that ended: at a master each task of a run once on each target, at an agent each attempt of one",
);
pub(super) const TASK_DURATION: Metric = metric(
    "sloth_task_duration_seconds",
    Kind::Histogram,
    At::Both,
    &["workflow", "task"],
    "How long tasks took that were begun: at a master with all attempts and waits, at an agent each attempt",
);
pub(super) const RUNNING: Metric = metric(
    "sloth_tasks_running",
    Kind::Gauge,
    At::Both,
    &[],
    "Steps at work: at a master those that an agent has, at an agent those that it has taken on",
);
pub(super) const AGENTS: Metric = metric(
    "sloth_agents",
    Kind::Gauge,
    At::Master,
    &["state"],
    "Agents that are enrolled and have come, by whether they are online, lost or drained",
);
pub(super) const QUEUE: Metric = metric(
    "sloth_queue_depth",
    Kind::Gauge,
    At::Master,
    &[],
    "Steps that wait to be given to their agent",
);
pub(super) const INSTANTIATE: Metric = metric(
    "sloth_sandbox_instantiate_seconds",
    Kind::Histogram,
    At::Agent,
    &[],
    "How long it took to make an instance of the sandbox",
);
pub(super) const DENIALS: Metric = metric(
    "sloth_denials_total",
    Kind::Counter,
    At::Agent,
    &["capability"],
    "What the policy refused: calls of steps, and what a workflow declares in vain",
);
pub(super) const GRPC: Metric = metric(
    "sloth_grpc_requests_total",
    Kind::Counter,
    At::Both,
    &["method", "status"],
    "Calls that this node's port answered, once they ended",
);
pub(super) const INFO: Metric = metric(
    "sloth_agent_info",
    Kind::Gauge,
    At::Agent,
    &["version", "os", "arch"],
    "What the agent is; always 1",
);
pub(super) const UPTIME: Metric = metric(
    "sloth_agent_uptime_seconds",
    Kind::Gauge,
    At::Agent,
    &[],
    "How long ago the agent was started",
);
pub(super) const COMMIT: Metric = metric(
    "sloth_store_commit_seconds",
    Kind::Histogram,
    At::Both,
    &[],
    "How long it took to write to the node's database for good, many changes at once",
);

/// Every metric that there is.
pub const CATALOGUE: &[Metric] = &[
    TASKS,
    TASK_DURATION,
    RUNNING,
    AGENTS,
    QUEUE,
    INSTANTIATE,
    DENIALS,
    GRPC,
    INFO,
    UPTIME,
    COMMIT,
];
