//! The handle that the rooms of a node are given.

use std::sync::Arc;
use std::time::Duration;

use sloth_workflow::{Outcome, Untrusted};

use super::meters::Meters;
use super::subject::Sight;
use super::timer::Timer;

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    Master,
    Agent {
        /// Of the program.
        version: String,
    },
}

/// Counts what happens on a node. Clones count together; off, nothing is done.
#[derive(Clone, Debug, Default)]
pub struct Telemetry(Option<Arc<Meters>>);

impl Telemetry {
    /// One that counts nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// One that counts, from now on.
    pub fn of(mode: &Mode) -> Self {
        Self(Some(Arc::new(Meters::of(mode))))
    }

    /// Whether anything is counted.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A task ended, after so long.
    pub fn task(&self, workflow: &Untrusted, task: &Untrusted, outcome: Outcome, took: Duration) {
        if let Some(meters) = &self.0 {
            meters.task(workflow, task, outcome, took);
        }
    }

    /// Something was refused for want of this capability.
    pub fn denied(&self, capability: &str) {
        if let Some(meters) = &self.0 {
            meters.denial(capability);
        }
    }

    /// A call of a port ended; no method is one that is not known.
    pub(super) fn answered(&self, method: Option<&'static str>, status: &'static str) {
        if let Some(meters) = &self.0 {
            meters.answered(method, status);
        }
    }

    /// Takes how long commits take.
    pub fn commits(&self) -> Timer {
        let meters = self.0.as_ref();
        meters.map_or_else(Timer::default, |meters| Timer::of(meters.commit.clone()))
    }

    /// Takes how long making an instance takes.
    pub fn instances(&self) -> Timer {
        let meters = self.0.as_ref();
        meters.map_or_else(Timer::default, |meters| {
            Timer::of(meters.instantiate.clone())
        })
    }

    /// Everything that was counted, with what was just seen, as Prometheus reads it.
    pub fn text(&self, sight: &Sight) -> String {
        let meters = self.0.as_ref();
        meters.map_or_else(String::new, |meters| meters.text(sight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{At, CATALOGUE, Members};

    fn seen() -> Sight {
        Sight {
            well: Ok(()),
            ready: Ok(()),
            running: 3,
            members: Some(Members {
                online: 2,
                waiting: 5,
                ..Members::default()
            }),
        }
    }

    fn agent() -> Mode {
        Mode::Agent {
            version: "1.2.3".to_owned(),
        }
    }

    /// Something of each kind.
    fn busy(mode: &Mode) -> Telemetry {
        let telemetry = Telemetry::of(mode);
        telemetry.task(
            &"w".into(),
            &"t".into(),
            Outcome::Changed,
            Duration::from_millis(20),
        );
        telemetry.denied("files.write");
        telemetry.denied("made.up");
        telemetry.answered(Some("sloth.v1.Fleet/Submit"), "OK");
        telemetry.commits().time(|| ());
        telemetry.instances().time(|| ());
        telemetry
    }

    #[test]
    fn each_kind_of_node_serves_its_metrics_and_no_others() {
        for (mode, other) in [(Mode::Master, At::Agent), (agent(), At::Master)] {
            let text = busy(&mode).text(&seen());
            for metric in CATALOGUE {
                let described = format!(
                    "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name}",
                    name = metric.name,
                    help = metric.help,
                    kind = metric.kind.word()
                );
                assert_eq!(
                    text.contains(&described),
                    metric.at != other,
                    "{}: {text}",
                    metric.name
                );
            }
        }
    }

    #[test]
    fn what_was_seen_and_counted_is_told() {
        let text = busy(&Mode::Master).text(&seen());
        for line in [
            "sloth_tasks_total{status=\"changed\",workflow=\"w\"} 1",
            "sloth_task_duration_seconds_bucket{le=\"0.05\",workflow=\"w\",task=\"t\"} 1",
            "sloth_tasks_running 3",
            "sloth_agents{state=\"online\"} 2",
            "sloth_agents{state=\"lost\"} 0",
            "sloth_queue_depth 5",
            "sloth_grpc_requests_total{method=\"sloth.v1.Fleet/Submit\",status=\"OK\"} 1",
            "sloth_store_commit_seconds_count 1",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
        let text = busy(&agent()).text(&seen());
        assert!(text.contains("sloth_denials_total{capability=\"files.write\"} 1\n"));
        assert!(text.contains("sloth_denials_total{capability=\"other\"} 1\n"));
        let info = format!(
            "sloth_agent_info{{version=\"1.2.3\",os=\"{}\",arch=\"{}\"}} 1\n",
            std::env::consts::OS,
            std::env::consts::ARCH
        );
        assert!(text.contains(&info), "{text}");
    }

    #[test]
    fn ten_thousand_names_of_strangers_are_some_thousand_series() {
        let telemetry = Telemetry::of(&Mode::Master);
        for index in 0..10_000 {
            let (workflow, task) = (format!("w{}", index % 5000), format!("t{index}"));
            telemetry.task(
                &workflow.into(),
                &task.into(),
                Outcome::Failed,
                Duration::ZERO,
            );
        }
        let text = telemetry.text(&seen());
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        assert!(series < 5000, "{series}");
        assert!(text.contains("sloth_tasks_total{status=\"failed\",workflow=\"other\"} 9800\n"));
    }

    #[test]
    fn a_name_made_to_break_the_text_stays_within_its_line() {
        let telemetry = Telemetry::of(&Mode::Master);
        let name = "a\"} 1\nsloth_evil 1\n\\";
        telemetry.task(&name.into(), &name.into(), Outcome::Ok, Duration::ZERO);
        let text = telemetry.text(&seen());
        assert!(
            !text.lines().any(|line| line.starts_with("sloth_evil")),
            "{text}"
        );
        assert!(text.contains(r#"workflow="a\"} 1\\n"#), "{text}");
    }

    #[test]
    fn off_it_does_nothing() {
        let off = Telemetry::off();
        off.task(&"w".into(), &"t".into(), Outcome::Ok, Duration::ZERO);
        assert_eq!(off.commits().time(|| 7), 7);
        assert!(!off.is_on() && off.text(&seen()).is_empty());
    }
}
