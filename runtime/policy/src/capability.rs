//! The policy keys: which verbs there are on which nouns, and what narrows each.

use std::fmt;

use serde::{Serialize, Serializer};

/// A policy key: a verb on a noun, such as `files.write`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Reading files, listing folders, looking at what stands at a path.
    FilesRead,
    /// Making and changing files and folders. Holds for what `FilesCreate` covers as well.
    FilesWrite,
    /// Making what does not exist yet.
    FilesCreate,
    /// Removing, and the source side of a move.
    FilesDelete,
    /// Where links found inside granted paths may lead, for reading.
    FilesFollow,
    /// Running a program with arguments.
    ProcessRun,
    /// Handing a line with shell syntax to `/bin/sh`.
    ProcessShell,
    /// Internet sockets for children.
    ProcessNetwork,
    /// Local sockets for children.
    ProcessUnixSockets,
    /// Accounts that children may run as.
    ProcessUser,
    /// Environment variables that children may be given.
    ProcessEnv,
    /// Children without Landlock, on a node that has none.
    ProcessUnconfined,
    /// What units are and do.
    ServicesStatus,
    /// Starting units.
    ServicesStart,
    /// Stopping units.
    ServicesStop,
    /// Restarting units.
    ServicesRestart,
    /// Having units read their settings again.
    ServicesReload,
    /// Having units start with the machine.
    ServicesEnable,
    /// Having them not.
    ServicesDisable,
    /// Writing and removing units' files.
    ServicesDefine,
    /// Having systemd read all units' files again.
    ServicesDaemonReload,
    /// Sections of facts about the node.
    FactsRead,
    /// Variables of the runner's own environment.
    EnvironmentRead,
}

/// What narrows a capability, and with it what a grant of it is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A list of path globs; see [`crate::glob`].
    Paths,
    /// A list of command patterns; see [`crate::CommandPattern`].
    Commands,
    /// A list of names, in which `*`, `?` and `[…]` stand for characters.
    Names,
    /// `true` or `false`.
    Flag,
}

impl Capability {
    /// Every policy key, in the order they are documented in.
    pub const ALL: &[Self] = &[
        Self::FilesRead,
        Self::FilesWrite,
        Self::FilesCreate,
        Self::FilesDelete,
        Self::FilesFollow,
        Self::ProcessRun,
        Self::ProcessShell,
        Self::ProcessNetwork,
        Self::ProcessUnixSockets,
        Self::ProcessUser,
        Self::ProcessEnv,
        Self::ProcessUnconfined,
        Self::ServicesStatus,
        Self::ServicesStart,
        Self::ServicesStop,
        Self::ServicesRestart,
        Self::ServicesReload,
        Self::ServicesEnable,
        Self::ServicesDisable,
        Self::ServicesDefine,
        Self::ServicesDaemonReload,
        Self::FactsRead,
        Self::EnvironmentRead,
    ];

    /// The key as it is written in messages and with dots in a policy: `files.write`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FilesRead => "files.read",
            Self::FilesWrite => "files.write",
            Self::FilesCreate => "files.create",
            Self::FilesDelete => "files.delete",
            Self::FilesFollow => "files.follow",
            Self::ProcessRun => "process.run",
            Self::ProcessShell => "process.shell",
            Self::ProcessNetwork => "process.network",
            Self::ProcessUnixSockets => "process.unix-sockets",
            Self::ProcessUser => "process.user",
            Self::ProcessEnv => "process.env",
            Self::ProcessUnconfined => "process.unconfined",
            Self::ServicesStatus => "services.status",
            Self::ServicesStart => "services.start",
            Self::ServicesStop => "services.stop",
            Self::ServicesRestart => "services.restart",
            Self::ServicesReload => "services.reload",
            Self::ServicesEnable => "services.enable",
            Self::ServicesDisable => "services.disable",
            Self::ServicesDefine => "services.define",
            Self::ServicesDaemonReload => "services.daemon-reload",
            Self::FactsRead => "facts.read",
            Self::EnvironmentRead => "environment.read",
        }
    }

    /// The table of a policy the key stands in: `files`.
    pub fn noun(self) -> &'static str {
        self.parts().0
    }

    /// The key inside that table: `write`.
    pub fn verb(self) -> &'static str {
        self.parts().1
    }

    /// What a grant of this capability is written as.
    pub const fn scope(self) -> Scope {
        match self {
            Self::FilesRead
            | Self::FilesWrite
            | Self::FilesCreate
            | Self::FilesDelete
            | Self::FilesFollow => Scope::Paths,
            Self::ProcessRun => Scope::Commands,
            Self::ProcessUser
            | Self::ProcessEnv
            | Self::ServicesStatus
            | Self::ServicesStart
            | Self::ServicesStop
            | Self::ServicesRestart
            | Self::ServicesReload
            | Self::ServicesEnable
            | Self::ServicesDisable
            | Self::ServicesDefine
            | Self::FactsRead
            | Self::EnvironmentRead => Scope::Names,
            Self::ProcessShell
            | Self::ProcessNetwork
            | Self::ProcessUnixSockets
            | Self::ProcessUnconfined
            | Self::ServicesDaemonReload => Scope::Flag,
        }
    }

    /// The capability with this name (`files.write`), if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|capability| capability.name() == name)
    }

    /// The keys of which a grant allows this one: who may write may create.
    pub(crate) const fn granted_by(self) -> &'static [Self] {
        if matches!(self, Self::FilesCreate) {
            &[Self::FilesCreate, Self::FilesWrite]
        } else {
            self.alone()
        }
    }

    /// The keys of which a deny refuses this one. What must not be written must not be created, and
    /// a link must not lead to what must not be read.
    pub(crate) const fn denied_by(self) -> &'static [Self] {
        if matches!(self, Self::FilesFollow) {
            &[Self::FilesFollow, Self::FilesRead]
        } else {
            self.granted_by()
        }
    }

    const fn alone(self) -> &'static [Self] {
        let (_, from) = Self::ALL.split_at(self as usize);
        from.split_at(1).0
    }

    fn parts(self) -> (&'static str, &'static str) {
        self.name()
            .split_once('.')
            .expect("every name is a noun, a dot and a verb")
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_is_found_by_its_name_and_stands_at_its_index() {
        for (index, capability) in Capability::ALL.iter().copied().enumerate() {
            assert_eq!(capability as usize, index, "{capability}");
            assert_eq!(Capability::from_name(capability.name()), Some(capability));
            assert_eq!(
                format!("{}.{}", capability.noun(), capability.verb()),
                capability.name()
            );
        }
    }

    #[test]
    fn an_unknown_name_is_no_capability() {
        assert_eq!(Capability::from_name("files.writ"), None);
        assert_eq!(Capability::from_name(""), None);
    }
}
