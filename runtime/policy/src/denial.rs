//! Refusals: who refused, and the line that would change it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The workflow or the task declared its capabilities and left this one out.
    Declaration,
    /// No grant of the node's policy covers the subject.
    Policy,
    /// The plugin that asks has no line for the subject in its own section of the node's policy.
    Plugin,
    /// A `[deny]` line of the node's policy covers the subject.
    Deny,
    /// A ceiling of `[limits]` was reached.
    Limit,
    /// The subject is one of the node's own files or processes.
    SelfProtection,
    /// The operating system refused what the policy allowed.
    Kernel,
}

/// What the policy says to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Every layer allows it.
    Allowed,
    /// This layer refuses it.
    Refused(Layer),
}

/// A refused call. Nothing has happened on the machine. Displays as its message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Denial {
    /// Policy key, for example `files.write`.
    pub capability: String,
    /// What the call was about: a path, a command line, a name. As the call gave it, unescaped.
    pub subject: String,
    /// Who refused.
    pub layer: Layer,
    /// One sentence with capability, subject, layer and remedy, safe to show on a terminal.
    pub message: String,
    /// What would make the call pass, if a line can: for the policy layer a table and a key of a
    /// policy, `[files] write = ["/etc/motd"]`; for the declaration layer Lua,
    /// `:capabilities({ files = { write = { "/etc/motd" } } })`; for the plugin layer a policy's table of
    /// that plugin, `[plugin.markdown] files.write = ["/etc/motd"]`.
    pub remedy: Option<String>,
}

impl Decision {
    /// Whether every layer allows it.
    pub fn is_allowed(self) -> bool {
        self == Self::Allowed
    }
}

impl Layer {
    /// The layer's name, as `wit/types.wit` spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Declaration => "declaration",
            Self::Policy => "policy",
            Self::Plugin => "plugin",
            Self::Deny => "deny",
            Self::Limit => "limit",
            Self::SelfProtection => "self-protection",
            Self::Kernel => "kernel",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
