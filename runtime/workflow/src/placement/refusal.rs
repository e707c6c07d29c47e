//! Why a workflow cannot be placed.

use std::fmt::{self, Write};

use crate::text::Untrusted;

/// A target that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The task; none is the workflow, or the operator if `line` is 0.
    pub task: Option<Untrusted>,
    pub line: u32,
    pub target: Untrusted,
    /// The selector that means the target.
    pub selector: Option<Untrusted>,
}

/// Why a workflow cannot be placed: all that is wrong at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Targets {
        /// Outside what the operator allows.
        outside: Vec<Asked>,
        /// Allowed, as far as can be told, but not there.
        unknown: Vec<Asked>,
    },
    TooMany(String),
}

impl Refusal {
    /// Whether all that is wrong is that targets are not there.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Targets { outside, .. } if outside.is_empty())
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outside, unknown) = match self {
            Self::TooMany(what) => return formatter.write_str(what),
            Self::Targets { outside, unknown } => (outside, unknown),
        };
        if !outside.is_empty() {
            formatter.write_str("the workflow asks for targets that are not allowed:")?;
            list(formatter, outside)?;
            let local = |asked: &Asked| asked.target.raw() == super::LOCAL;
            let mut remedies = Vec::new();
            if !outside.iter().all(local) {
                remedies
                    .push("name them with --delegate-to, or allow them with --targets SELECTOR");
            }
            if outside.iter().any(local) {
                remedies.push("this machine takes part with --allow-local");
            }
            write!(formatter, "\nto allow it: {}", remedies.join("; "))?;
        }
        if !unknown.is_empty() {
            if !outside.is_empty() {
                formatter.write_char('\n')?;
            }
            formatter.write_str("there are no such agents:")?;
            list(formatter, unknown)?;
            formatter.write_str("\nsee sloth-runner agent list")?;
        }
        Ok(())
    }
}

/// Most lines of each kind.
const MOST: usize = 100;

fn list(formatter: &mut fmt::Formatter<'_>, all: &[Asked]) -> fmt::Result {
    for asked in all.iter().take(MOST) {
        write!(formatter, "\n  `{}`", asked.target.escaped())?;
        if let Some(selector) = &asked.selector {
            write!(formatter, " of `{}`", selector.escaped())?;
        }
        match &asked.task {
            Some(task) => write!(
                formatter,
                ", for task `{}` on line {}",
                task.escaped(),
                asked.line
            )?,
            None if asked.line == 0 => formatter.write_str(", from --delegate-to")?,
            None => write!(formatter, ", for the workflow on line {}", asked.line)?,
        }
    }
    match all.len().saturating_sub(MOST) {
        0 => Ok(()),
        more => write!(formatter, "\n  and {more} more"),
    }
}
