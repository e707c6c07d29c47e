//! The audit: what steps asked of this machine, kept so that nobody can change it unseen.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

/// Keeps records in the order in which they are given.
pub trait Audit: Send + Sync {
    /// Keeps a record. It is on the disk within 100 ms, if the disk takes it; when it does not, the
    /// next [`commit`](Self::commit) says so. Never waits for the disk.
    fn note(&self, record: Record);

    /// Keeps a record and gives its number, once it and all before it would survive a crash. An error
    /// means that nothing may happen that needs to be on record.
    fn commit(&self, record: Record) -> io::Result<u64>;

    /// Writes out what was noted: a step has ended.
    fn flush(&self);

    /// The last record that would survive a crash, if it seals those before it.
    fn head(&self) -> Option<Head> {
        None
    }
}

/// A record by its place, and all before it by its seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// From 1.
    pub number: u64,
    /// SHA-256 over the seal before it and its own text.
    pub hash: [u8; 32],
}

/// One call, or what came of one. Texts are as calls gave them, secrets redacted.
#[derive(Clone, Debug)]
pub struct Record {
    pub time: SystemTime,
    pub origin: Arc<Origin>,
    pub kind: Kind,
    /// Policy key, `files.write`.
    pub capability: String,
    /// A path, a command line, a name; what a change says of itself.
    pub subject: String,
    /// The number of the intent that this is the result of.
    pub intent: Option<u64>,
    /// `ok`, `unchanged`, `failed`, `unfinished` for results; the layer that refused for denials.
    pub outcome: Option<&'static str>,
    /// Why it failed.
    pub reason: Option<String>,
}

/// Whose step it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub run: String,
    pub stack: String,
    pub workflow: String,
    /// Empty for the workflow's own hooks.
    pub task: String,
    pub attempt: u32,
    /// The plugin that the step called and that made the call; empty for the step's own.
    pub plugin: String,
}

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something was looked at.
    Call,
    /// A call was refused.
    Denial,
    /// Something is about to be changed.
    Intent,
    /// What came of it.
    Result,
    /// Check mode: it would have been changed.
    Plan,
}

impl Kind {
    /// As it stands in a record.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Denial => "denial",
            Self::Intent => "intent",
            Self::Result => "result",
            Self::Plan => "plan",
        }
    }
}
