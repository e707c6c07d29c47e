//! The one table of host functions: which policy keys each needs and whether it changes anything.
//! Tests, documentation and the sandbox's permits read it; a test holds it against `wit/`.

use crate::Capability::{
    self, EnvironmentRead, EventsEmit, FactsRead, FilesCreate, FilesDelete, FilesFollow, FilesRead,
    FilesWrite, HttpAddresses, HttpSend, PackagesInstall, PackagesQuery, PackagesRefresh,
    PackagesRemove, PackagesUpgrade, PluginsCall, ProcessEnv, ProcessNetwork, ProcessRun,
    ProcessShell, ProcessUnconfined, ProcessUnixSockets, ProcessUser, SecretsEnv, SecretsHeader,
    SecretsReveal, ServicesDaemonReload, ServicesDefine, ServicesDisable, ServicesEnable,
    ServicesReload, ServicesRestart, ServicesStart, ServicesStatus, ServicesStop, StateRead,
    StateWrite, UsersCreate, UsersGroups, UsersIds, UsersModify, UsersQuery, UsersRemove,
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
    SecretsEnv,
];

const SEND: &[Capability] = &[
    HttpSend,
    HttpAddresses,
    FilesWrite,
    FilesCreate,
    SecretsHeader,
];
const MAKE_USER: &[Capability] = &[
    UsersCreate,
    UsersModify,
    UsersGroups,
    UsersIds,
    FilesWrite,
    FilesCreate,
];
const CHANGE_USER: &[Capability] = &[
    UsersModify,
    UsersGroups,
    UsersIds,
    FilesWrite,
    FilesCreate,
    FilesDelete,
];

const DEFINE: &[Capability] = &[
    ServicesDefine,
    ProcessRun,
    ProcessEnv,
    FilesWrite,
    ServicesStart,
    ServicesEnable,
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
    mutates(
        "files",
        "extract",
        &[FilesWrite, FilesCreate, FilesRead, FilesFollow],
    ),
    mutates("files", "remove", &[FilesDelete]),
    mutates("files", "move", &[FilesDelete, FilesWrite, FilesCreate]),
    mutates("process", "run", RUN),
    mutates("process", "spawn", RUN),
    mutates("process", "collect", &[]),
    mutates("process", "kill", &[]),
    observes("secrets", "open", &[]),
    observes("secrets", "reveal", &[SecretsReveal]),
    observes("packages", "manager", &[FactsRead]),
    observes("packages", "query", &[PackagesQuery]),
    observes("packages", "list", &[PackagesQuery]),
    observes("packages", "search", &[PackagesQuery]),
    observes("packages", "info", &[PackagesQuery]),
    mutates("packages", "install", &[PackagesInstall, PackagesRemove]),
    mutates("packages", "remove", &[PackagesRemove]),
    mutates("packages", "upgrade", &[PackagesUpgrade, PackagesRemove]),
    mutates("packages", "refresh", &[PackagesRefresh]),
    observes("users", "query", &[UsersQuery]),
    observes("users", "list", &[UsersQuery]),
    mutates("users", "create", MAKE_USER),
    mutates("users", "modify", CHANGE_USER),
    mutates("users", "remove", &[UsersRemove, FilesDelete]),
    observes("users", "query-group", &[UsersQuery]),
    observes("users", "list-groups", &[UsersQuery]),
    mutates("users", "create-group", &[UsersCreate, UsersIds]),
    mutates(
        "users",
        "modify-group",
        &[UsersModify, UsersGroups, UsersIds],
    ),
    mutates("users", "remove-group", &[UsersRemove]),
    observes("services", "status", &[ServicesStatus]),
    observes("services", "list", &[ServicesStatus]),
    mutates("services", "start", &[ServicesStart]),
    mutates("services", "stop", &[ServicesStop]),
    mutates("services", "restart", &[ServicesRestart]),
    mutates("services", "reload", &[ServicesReload]),
    mutates("services", "enable", &[ServicesEnable]),
    mutates("services", "disable", &[ServicesDisable]),
    mutates("services", "define", DEFINE),
    mutates("services", "remove", &[ServicesDefine]),
    mutates("services", "daemon-reload", &[ServicesDaemonReload]),
    observes("facts", "sections", &[]),
    observes("facts", "hostname", &[FactsRead]),
    observes("facts", "platform", &[FactsRead]),
    observes("facts", "memory", &[FactsRead]),
    observes("facts", "disk", &[FactsRead]),
    observes("facts", "network", &[FactsRead]),
    observes("facts", "uptime", &[FactsRead]),
    observes("facts", "load", &[FactsRead]),
    observes("facts", "packages", &[FactsRead]),
    observes("facts", "users", &[FactsRead]),
    observes("facts", "services", &[FactsRead]),
    observes("facts", "processes", &[FactsRead]),
    observes("environment", "get", &[EnvironmentRead]),
    observes("state", "get", &[StateRead]),
    observes("state", "keys", &[StateRead]),
    mutates("state", "set", &[StateWrite]),
    mutates("state", "delete", &[StateWrite]),
    mutates("state", "clear", &[StateWrite]),
    mutates("state", "increment", &[StateWrite, StateRead]),
    mutates("state", "compare-and-swap", &[StateWrite, StateRead]),
    // An event is part of the run's own record, as a message is; it leaves the machine as it was.
    observes("events", "emit", &[EventsEmit]),
    mutates("http", "send", SEND),
    mutates("http", "start", SEND),
    mutates("http", "collect", &[]),
    observes("http", "abandon", &[]),
    observes("clock", "now", &[]),
    observes("clock", "monotonic", &[]),
    observes("clock", "sleep", &[]),
    observes("clock", "wait", &[]),
    observes("random", "bytes", &[]),
    observes("plugins", "describe", &[PluginsCall]),
    // What a plugin changes, it changes by the functions of the other interfaces.
    observes("plugins", "call", &[PluginsCall]),
    observes("plugins", "release", &[]),
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

impl Capability {
    /// Whether it stands behind functions that only look.
    pub fn observes(self) -> bool {
        FUNCTIONS.iter().any(|function| {
            function.effect == Effect::Observes && function.capabilities.contains(&self)
        })
    }
}
