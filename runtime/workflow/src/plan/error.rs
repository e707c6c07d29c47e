//! Why a file's plan cannot be run.

use crate::plan::MAX_TASKS;
use crate::text::Untrusted;

/// Why a file's plan cannot be run. `line` is in the workflow file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("line {line}: {message}")]
    Invalid { line: u32, message: String },
    #[error("line {second}: task `{}` is defined twice, first on line {first}; give each its own name", name.escaped())]
    DuplicateTask {
        name: Untrusted,
        first: u32,
        second: u32,
    },
    #[error("line {second}: workflow `{}` is defined twice, first on line {first}; give each its own name", name.escaped())]
    DuplicateWorkflow {
        name: Untrusted,
        first: u32,
        second: u32,
    },
    #[error("line {line}: task `{}` depends on `{}`, which is not in this workflow{}", task.escaped(), name.escaped(), did_you_mean(nearest.as_ref()))]
    UnknownDependency {
        task: Untrusted,
        name: Untrusted,
        nearest: Option<Untrusted>,
        line: u32,
    },
    #[error("line {line}: next_if_fail of task `{}` names `{}`, which is not in this workflow{}", task.escaped(), name.escaped(), did_you_mean(nearest.as_ref()))]
    UnknownFailure {
        task: Untrusted,
        name: Untrusted,
        nearest: Option<Untrusted>,
        line: u32,
    },
    #[error("line {line}: task `{}` consumes `{}`, which is neither another task nor one of its artifacts{}", task.escaped(), name.escaped(), did_you_mean(nearest.as_ref()))]
    UnknownArtifact {
        task: Untrusted,
        name: Untrusted,
        nearest: Option<Untrusted>,
        line: u32,
    },
    #[error("line {line}: task `{}` consumes `{}`, which both `{}` and `{}` leave; name the task instead", task.escaped(), name.escaped(), first.escaped(), second.escaped())]
    AmbiguousArtifact {
        task: Untrusted,
        name: Untrusted,
        first: Untrusted,
        second: Untrusted,
        line: u32,
    },
    /// `keys` are those whose names make the circle.
    #[error("line {line}: tasks depend on each other in a circle: {path}; remove one {keys}")]
    Cycle {
        path: String,
        keys: String,
        line: u32,
    },
    #[error("the file declares {found} tasks; at most {MAX_TASKS} are allowed")]
    TooManyTasks { found: usize },
    #[error("the plan is malformed: {0}")]
    Malformed(String),
}

impl Error {
    /// The line of the workflow file that is at fault, if one is.
    pub fn line(&self) -> Option<u32> {
        let line = match self {
            Self::Invalid { line, .. }
            | Self::UnknownDependency { line, .. }
            | Self::UnknownFailure { line, .. }
            | Self::UnknownArtifact { line, .. }
            | Self::AmbiguousArtifact { line, .. }
            | Self::Cycle { line, .. }
            | Self::DuplicateTask { second: line, .. }
            | Self::DuplicateWorkflow { second: line, .. } => *line,
            Self::TooManyTasks { .. } | Self::Malformed(_) => return None,
        };
        Some(line).filter(|line| *line > 0)
    }

    /// What is wrong, for whoever says by [`line`](Self::line) where.
    pub fn message(&self) -> String {
        let text = self.to_string();
        let line = self.line().map(|line| format!("line {line}: "));
        match line.and_then(|line| text.strip_prefix(&line)) {
            Some(message) => message.to_owned(),
            None => text,
        }
    }
}

fn did_you_mean(nearest: Option<&Untrusted>) -> String {
    nearest.map_or_else(String::new, |name| {
        format!("; did you mean `{}`?", name.escaped())
    })
}

pub(super) fn invalid(line: u32, message: impl Into<String>) -> Error {
    Error::Invalid {
        line,
        message: message.into(),
    }
}
