//! Exit codes. Of several that apply, the first of 130, 3, 4, 1, 5, 0 counts.

use std::process::ExitCode;

use sloth_workflow::{Counts, Outcome};

use crate::render;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Succeeded,
    Failed,
    /// Wrong usage, or an invalid workflow, values file or policy.
    Usage,
    Denied,
    /// A target is unknown, unreachable, or did not come in time.
    Unreachable,
    /// Check mode: changes would be made.
    WouldChange,
    Cancelled,
}

impl Exit {
    /// What a run's outcome means. `check` is whether nothing was applied.
    pub(crate) fn of(outcome: Outcome, counts: &Counts, check: bool) -> Self {
        match outcome {
            Outcome::Cancelled => Self::Cancelled,
            _ if counts.cancelled > 0 => Self::Cancelled,
            _ if counts.denied > 0 => Self::Denied,
            Outcome::Denied => Self::Denied,
            _ if counts.unreachable > 0 => Self::Unreachable,
            Outcome::Unreachable => Self::Unreachable,
            Outcome::Failed | Outcome::TimedOut | Outcome::Skipped => Self::Failed,
            Outcome::Changed if check => Self::WouldChange,
            Outcome::Changed | Outcome::Ok => Self::Succeeded,
        }
    }

    /// What it means that a master was not reached, or refused.
    pub(crate) fn of_master(error: &sloth_fleet::wire::client::Error) -> Self {
        if error.is_unreachable() || error.is_unknown_target() {
            Self::Unreachable
        } else if error.is_denied() {
            Self::Denied
        } else if error.is_usage() {
            Self::Usage
        } else {
            Self::Failed
        }
    }

    /// The graver of two.
    pub(crate) fn and(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Usage => 0,
            Self::Cancelled => 1,
            Self::Denied => 2,
            Self::Unreachable => 3,
            Self::Failed => 4,
            Self::WouldChange => 5,
            Self::Succeeded => 6,
        };
        if rank(other) < rank(self) {
            other
        } else {
            self
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Succeeded => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Denied => 3,
            Exit::Unreachable => 4,
            Exit::WouldChange => 5,
            Exit::Cancelled => 130,
        })
    }
}

/// Help and version end well; anything else is wrong usage.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    render::usage(error);
    match error.kind() {
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => {
            ExitCode::SUCCESS
        }
        _ => Exit::Usage.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_exit_counts() {
        assert_eq!(Exit::Failed.and(Exit::Denied), Exit::Denied);
        assert_eq!(Exit::Succeeded.and(Exit::WouldChange), Exit::WouldChange);
        assert_eq!(Exit::Denied.and(Exit::Cancelled), Exit::Cancelled);
        assert_eq!(Exit::Failed.and(Exit::Unreachable), Exit::Unreachable);
    }

    #[test]
    fn changes_are_success_but_for_check_mode() {
        let counts = Counts {
            changed: 1,
            ..Counts::default()
        };
        assert_eq!(Exit::of(Outcome::Changed, &counts, false), Exit::Succeeded);
        assert_eq!(Exit::of(Outcome::Changed, &counts, true), Exit::WouldChange);
    }

    #[test]
    fn a_failure_beside_a_denial_is_a_denial() {
        let counts = Counts {
            failed: 1,
            denied: 1,
            ..Counts::default()
        };
        assert_eq!(Exit::of(counts.overall(), &counts, false), Exit::Denied);
    }
}
