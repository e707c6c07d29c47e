//! How a step ended.

use serde::Serialize;

/// How a step, or a run, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Succeeded and found everything as it should be.
    Ok,
    /// Succeeded and changed something, or in check mode would.
    Changed,
    Failed,
    /// Not run: something it depends on did not succeed.
    Skipped,
    /// Stopped by a refusal that the task did not catch.
    Denied,
    TimedOut,
    Cancelled,
    /// Its target was lost, or did not come in time.
    Unreachable,
}

impl Outcome {
    pub fn succeeded(self) -> bool {
        matches!(self, Self::Ok | Self::Changed)
    }

    /// Whether it ran to its own end and did not succeed.
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            Self::Failed | Self::Denied | Self::TimedOut | Self::Unreachable
        )
    }

    /// As users read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Changed => "changed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Denied => "denied",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
            Self::Unreachable => "unreachable",
        }
    }
}

/// How many steps ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counts {
    pub ok: u32,
    pub changed: u32,
    pub failed: u32,
    pub skipped: u32,
    pub denied: u32,
    pub timed_out: u32,
    pub cancelled: u32,
    pub unreachable: u32,
}

impl Counts {
    pub fn add(&mut self, outcome: Outcome) {
        let slot = match outcome {
            Outcome::Ok => &mut self.ok,
            Outcome::Changed => &mut self.changed,
            Outcome::Failed => &mut self.failed,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Denied => &mut self.denied,
            Outcome::TimedOut => &mut self.timed_out,
            Outcome::Cancelled => &mut self.cancelled,
            Outcome::Unreachable => &mut self.unreachable,
        };
        *slot += 1;
    }

    /// Adds those of another part of the run.
    pub fn join(&mut self, other: &Self) {
        self.ok += other.ok;
        self.changed += other.changed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.denied += other.denied;
        self.timed_out += other.timed_out;
        self.cancelled += other.cancelled;
        self.unreachable += other.unreachable;
    }

    /// The outcome of the whole: the gravest that occurs, a cancel above all.
    pub fn overall(&self) -> Outcome {
        let gravest = [
            (self.cancelled, Outcome::Cancelled),
            (self.denied, Outcome::Denied),
            (self.unreachable, Outcome::Unreachable),
            (self.timed_out, Outcome::TimedOut),
            (self.failed, Outcome::Failed),
            (self.changed, Outcome::Changed),
        ];
        gravest
            .into_iter()
            .find(|(count, _)| *count > 0)
            .map_or(Outcome::Ok, |(_, outcome)| outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_outcome_names_the_run() {
        let mut counts = Counts::default();
        assert_eq!(counts.overall(), Outcome::Ok);
        counts.add(Outcome::Changed);
        assert_eq!(counts.overall(), Outcome::Changed);
        counts.add(Outcome::Failed);
        counts.add(Outcome::Skipped);
        assert_eq!(counts.overall(), Outcome::Failed);
        counts.add(Outcome::Denied);
        assert_eq!(counts.overall(), Outcome::Denied);
    }
}
