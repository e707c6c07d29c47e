//! The one table of host functions: which policy keys each needs and whether it changes anything.
//! Tests, documentation and the sandbox's permits read it; a test holds it against `wit/`.

use crate::Capability::{
    self, EnvironmentRead, FactsRead, FilesCreate, FilesDelete, FilesFollow, FilesRead, FilesWrite,
    ProcessEnv, ProcessNetwork, ProcessRun, ProcessShell, ProcessUnconfined, ProcessUnixSockets,
    ProcessUser,
};

/// Whether a call may leave the machine other than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Looks, and changes nothing; the same in check mode.
    Observes,
    /// May change the machine; in check mode it plans and does not apply.
    Mutates,
}

/// One function of one interface in `wit/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// The interface, `files`.
    pub interface: &'static str,
    /// The function as `wit/` names it, `write`.
    pub name: &'static str,
    /// Every policy key a call may be held against, the one it always needs first. Empty for what
    /// needs no grant.
    pub capabilities: &'static [Capability],
    /// Whether it changes the machine.
    pub effect: Effect,
}

const READ: &[Capability] = &[FilesRead, FilesFollow];
const MAKE: &[Capability] = &[FilesWrite, FilesCreate];
const RUN: &[Capability] = &[
    ProcessRun,
    ProcessShell,
    ProcessNetwork,
    ProcessUnixSockets,
    ProcessUser,
    ProcessEnv,
    ProcessUnconfined,
];

/// Every function a workflow can import.
pub const FUNCTIONS: &[Function] = &[
    observes("log", "write", &[]),
    observes("files", "read", READ),
    observes("files", "list", READ),
    observes("files", "stat", READ),
    observes("files", "hash", READ),
    observes("files", "glob", READ),
    observes("files", "bundled", &[]),
    mutates("files", "write", MAKE),
    mutates("files", "append", MAKE),
    mutates("files", "create", &[FilesCreate, FilesWrite]),
    mutates("files", "mkdir", MAKE),
    mutates("files", "link", MAKE),
    mutates("files", "chmod", &[FilesWrite]),
    mutates("files", "chown", &[FilesWrite]),
    mutates("files", "remove", &[FilesDelete]),
    mutates("files", "move", &[FilesDelete, FilesWrite, FilesCreate]),
    mutates("process", "run", RUN),
    mutates("process", "spawn", RUN),
    observes("process", "wait", &[]),
    mutates("process", "collect", &[]),
    mutates("process", "kill", &[]),
    observes("facts", "sections", &[]),
    observes("facts", "hostname", &[FactsRead]),
    observes("facts", "platform", &[FactsRead]),
    observes("facts", "memory", &[FactsRead]),
    observes("facts", "disk", &[FactsRead]),
    observes("facts", "network", &[FactsRead]),
    observes("facts", "uptime", &[FactsRead]),
    observes("facts", "load", &[FactsRead]),
    observes("environment", "get", &[EnvironmentRead]),
    observes("clock", "now", &[]),
    observes("clock", "monotonic", &[]),
    observes("clock", "sleep", &[]),
    observes("random", "bytes", &[]),
];

const fn observes(
    interface: &'static str,
    name: &'static str,
    capabilities: &'static [Capability],
) -> Function {
    Function {
        interface,
        name,
        capabilities,
        effect: Effect::Observes,
    }
}

const fn mutates(
    interface: &'static str,
    name: &'static str,
    capabilities: &'static [Capability],
) -> Function {
    Function {
        interface,
        name,
        capabilities,
        effect: Effect::Mutates,
    }
}
