//! Events: the only thing users see of a run. The JSON form is documented in docs/events.md.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};
use sloth_policy::Denial;

use crate::text::Untrusted;
use crate::{Counts, Outcome, Value};

/// An event with its place in the run. Numbers start at 1 and have no gaps.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    #[serde(flatten)]
    pub event: Event,
    pub number: u64,
    /// RFC 3339, UTC, milliseconds.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// Where it happened: an agent's name, or `local`. None is this machine, in a run without a master.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// How loud a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Debug,
    Info,
    Success,
    Warn,
    Error,
    /// From Lua's `print`.
    Print,
}

/// Where a program wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// What happened. Appended, never changed.
#[derive(Clone, Debug, Serialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Event {
    RunStarted {
        run: String,
        stack: Untrusted,
        workflow: Untrusted,
        /// Digest of the bundle, as a policy rule names it.
        bundle: String,
        check: bool,
        tasks: Vec<Untrusted>,
    },
    StepStarted {
        task: Untrusted,
        target: String,
        attempt: u32,
    },
    /// An attempt ended, and another begins after the delay.
    StepRetrying {
        task: Untrusted,
        /// The one that ended.
        attempt: u32,
        outcome: Outcome,
        #[serde(skip_serializing_if = "Untrusted::is_empty")]
        message: Untrusted,
        #[serde(rename = "delay-ms", serialize_with = "milliseconds")]
        delay: Duration,
    },
    Log {
        /// Empty when it is about a hook of the workflow itself.
        task: Untrusted,
        level: Level,
        message: Untrusted,
    },
    /// A piece of a program's output: whole lines where it has lines, 64 KiB at most. Bytes that
    /// are not UTF-8 are replaced.
    Output {
        task: Untrusted,
        stream: Stream,
        text: Untrusted,
    },
    /// What a mutating call did, or in check mode would do.
    Change {
        task: Untrusted,
        capability: &'static str,
        summary: Untrusted,
        #[serde(skip_serializing_if = "Option::is_none")]
        diff: Option<Untrusted>,
        /// False in check mode.
        applied: bool,
    },
    /// An event of the workflow's own.
    Emitted {
        task: Untrusted,
        #[serde(rename = "type")]
        kind: Untrusted,
        data: Value,
        /// False in check mode: it would be emitted.
        applied: bool,
    },
    /// A refused call. The task may have caught it.
    Denial {
        task: Untrusted,
        #[serde(flatten)]
        denial: Denial,
    },
    StepFinished {
        task: Untrusted,
        outcome: Outcome,
        #[serde(skip_serializing_if = "Untrusted::is_empty")]
        message: Untrusted,
        /// `file:line` in the workflow, for failures.
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<Untrusted>,
        #[serde(skip_serializing_if = "Option::is_none")]
        traceback: Option<Untrusted>,
        outputs: Value,
        #[serde(rename = "duration-ms", serialize_with = "milliseconds")]
        duration: Duration,
    },
    RunFinished {
        outcome: Outcome,
        counts: Counts,
        /// `{tasks, stack}`: outputs by task, and what was set with `stack.set_output`.
        outputs: Value,
        #[serde(rename = "duration-ms", serialize_with = "milliseconds")]
        duration: Duration,
    },
}

/// A moment as events write it: RFC 3339, UTC, milliseconds.
pub fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&timestamp(*time))
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_says_after_which_attempt_and_when() {
        let event = Event::StepRetrying {
            task: "a".into(),
            attempt: 2,
            outcome: Outcome::Failed,
            message: "no route".into(),
            delay: Duration::from_millis(1500),
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"event":"step-retrying","task":"a","attempt":2,"outcome":"failed","message":"no route","delay-ms":1500}"#
        );
    }

    #[test]
    fn a_record_is_one_flat_json_object() {
        let record = Record {
            number: 3,
            time: SystemTime::UNIX_EPOCH,
            target: None,
            event: Event::StepFinished {
                task: "a\u{1b}".into(),
                outcome: Outcome::TimedOut,
                message: "over".into(),
                location: None,
                traceback: None,
                outputs: Value::empty(),
                duration: Duration::from_millis(12),
            },
        };
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"event":"step-finished","task":"a\u001b","outcome":"timed-out","message":"over","outputs":{},"duration-ms":12,"number":3,"time":"1970-01-01T00:00:00.000Z"}"#
        );
    }
}
