//! One line of the audit and its seal. The seal is SHA-256 over the seal before it and the line's own text
//! without the seal, so that no line can be changed, taken out or moved unseen.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sloth_policy::bytes_of;
use sloth_sandbox::ports::audit::{Head, Record};
use sloth_workflow::event::timestamp;
use sloth_workflow::value::base16;

use super::files::LONGEST_LINE;
use super::retire::Retired;

/// Where a chain ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The last record's number; 0 before the first.
    pub(super) number: u64,
    /// Its seal; zeros before the first.
    pub(super) hash: [u8; 32],
}

/// A record as it is written.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    number: u64,
    time: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    run: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    stack: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    workflow: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    task: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    plugin: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    capability: String,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired: Option<Retired>,
}

/// What of a line matters to the chain.
#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

const SEAL: &str = ",\"hash\":\"";

impl End {
    /// None before the first record.
    pub(super) fn head(&self) -> Option<Head> {
        let (number, hash) = (self.number, self.hash);
        (number > 0).then_some(Head { number, hash })
    }
}

impl Line {
    pub(super) fn of(record: &Record) -> Self {
        Self {
            number: 0,
            time: timestamp(record.time),
            kind: record.kind.word(),
            run: record.origin.run.clone(),
            stack: record.origin.stack.clone(),
            workflow: record.origin.workflow.clone(),
            task: record.origin.task.clone(),
            attempt: Some(record.origin.attempt),
            plugin: record.origin.plugin.clone(),
            capability: record.capability.clone(),
            subject: record.subject.clone(),
            intent: record.intent,
            outcome: record.outcome,
            reason: record.reason.clone(),
            retired: None,
        }
    }

    /// What the audit says of itself.
    pub(super) fn own(kind: &'static str, subject: String) -> Self {
        Self {
            number: 0,
            time: timestamp(std::time::SystemTime::now()),
            kind,
            run: String::new(),
            stack: String::new(),
            workflow: String::new(),
            task: String::new(),
            attempt: None,
            plugin: String::new(),
            capability: String::new(),
            subject,
            intent: None,
            outcome: None,
            reason: None,
            retired: None,
        }
    }

    /// The same, as the record of files that were taken out.
    pub(super) fn retiring(mut self, retired: Retired) -> Self {
        self.retired = Some(retired);
        self
    }

    /// The line as text with its end, and moves the chain's end to it.
    pub(super) fn seal(mut self, end: &mut End, text: &mut String) -> serde_json::Result<()> {
        self.number = end.number + 1;
        let body = serde_json::to_string(&self)?;
        debug_assert!((body.len() as u64) < LONGEST_LINE, "texts are bounded");
        let hash = seal(&end.hash, &body);
        *end = End {
            number: self.number,
            hash,
        };
        text.push_str(body.strip_suffix('}').unwrap_or(&body));
        text.push_str(SEAL);
        text.push_str(&base16(&hash));
        text.push_str("\"}\n");
        Ok(())
    }
}

fn seal(before: &[u8; 32], body: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(body);
    hash.finalize().into()
}

/// A line read back: its text without its seal, and what it says of its place.
pub(super) struct Sealed<'a> {
    body: &'a str,
    pub(super) end: End,
}

impl<'a> Sealed<'a> {
    /// None for what is no line of an audit.
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let (body, seal) = line.rsplit_once(SEAL)?;
        let hash = bytes_of(seal.strip_suffix("\"}")?)?;
        // Its own brace went to the end, behind the seal.
        let Numbered { number } = serde_json::from_str(&format!("{body}}}")).ok()?;
        Some(Self {
            body,
            end: End { number, hash },
        })
    }

    /// Whether it stands right behind `before`.
    pub(super) fn follows(&self, before: &End) -> bool {
        seal(&before.hash, &format!("{}}}", self.body)) == self.end.hash
    }
}
