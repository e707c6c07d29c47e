//! The parts of tasks and workflows that are called on their own.

/// One function, or shell text, of a task or a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    RunIf,
    AbortIf,
    PreHook,
    Command,
    PostHook,
    OnSuccess,
    OnFailure,
    OnTimeout,
    OnStart,
    OnComplete,
}

impl Part {
    /// The hooks a task may have.
    pub const OF_TASK: [Self; 5] = [
        Self::PreHook,
        Self::PostHook,
        Self::OnSuccess,
        Self::OnFailure,
        Self::OnTimeout,
    ];
    /// The hooks a workflow may have.
    pub const OF_WORKFLOW: [Self; 2] = [Self::OnStart, Self::OnComplete];

    /// As guest and host call it: `pre-hook`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RunIf => "run-if",
            Self::AbortIf => "abort-if",
            Self::PreHook => "pre-hook",
            Self::Command => "command",
            Self::PostHook => "post-hook",
            Self::OnSuccess => "on-success",
            Self::OnFailure => "on-failure",
            Self::OnTimeout => "on-timeout",
            Self::OnStart => "on-start",
            Self::OnComplete => "on-complete",
        }
    }

    /// As it is written in a workflow file, and so in messages: `pre_hook`.
    pub fn key(self) -> &'static str {
        match self {
            Self::RunIf => "run_if",
            Self::AbortIf => "abort_if",
            Self::PreHook => "pre_hook",
            Self::Command => "command",
            Self::PostHook => "post_hook",
            Self::OnSuccess => "on_success",
            Self::OnFailure => "on_failure",
            Self::OnTimeout => "on_timeout",
            Self::OnStart => "on_start",
            Self::OnComplete => "on_complete",
        }
    }
}

/// Which hooks are declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks(u16);

impl Hooks {
    pub fn contains(self, part: Part) -> bool {
        self.0 & bit(part) != 0
    }

    pub fn insert(&mut self, part: Part) {
        self.0 |= bit(part);
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

fn bit(part: Part) -> u16 {
    1 << part as u16
}

impl FromIterator<Part> for Hooks {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        let mut hooks = Self::default();
        for part in parts {
            hooks.insert(part);
        }
        hooks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_told_apart_by_name_and_in_a_set() {
        for part in Part::OF_TASK.into_iter().chain(Part::OF_WORKFLOW) {
            assert_eq!(part.name(), part.key().replace('_', "-"));
            let hooks: Hooks = [part].into_iter().collect();
            for other in Part::OF_TASK.into_iter().chain(Part::OF_WORKFLOW) {
                assert_eq!(hooks.contains(other), other == part);
            }
        }
        assert!(Hooks::default().is_empty());
    }
}
