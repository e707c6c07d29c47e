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
    /// Internet sockets for children, all or by port.
    ProcessNetwork,
    /// Local sockets for children.
    ProcessUnixSockets,
    /// Accounts that children may run as.
    ProcessUser,
    /// Environment variables that children may be given.
    ProcessEnv,
    /// Children without Landlock, on a node that has none.
    ProcessUnconfined,
    /// Programs in whose environment a secret may stand.
    SecretsEnv,
    /// Servers that a secret may be sent to, in a header of a request.
    SecretsHeader,
    /// Secrets whose values the workflow may have.
    SecretsReveal,
    /// Looking at packages; `*` is all of them.
    PackagesQuery,
    /// Installing packages, with what they depend on.
    PackagesInstall,
    /// Removing packages.
    PackagesRemove,
    /// Bringing installed packages to a newer version; `*` is all of them.
    PackagesUpgrade,
    /// Fetching the lists of packages anew, which is always for all: `*`.
    PackagesRefresh,
    /// Looking at accounts and groups; `*` is all of them.
    UsersQuery,
    /// Making accounts and groups.
    UsersCreate,
    /// Changing accounts and groups.
    UsersModify,
    /// Removing accounts and groups.
    UsersRemove,
    /// Groups that accounts may join and leave.
    UsersGroups,
    /// Numbers that may be chosen for accounts and groups.
    UsersIds,
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
    /// Keys of the node's state whose values may be read.
    StateRead,
    /// Keys of the node's state that may be set and removed.
    StateWrite,
    /// Types of events that may be emitted.
    EventsEmit,
    /// Requests over HTTP.
    HttpSend,
    /// Addresses that are not the internet's and that requests may reach all the same.
    HttpAddresses,
    /// Plugins whose functions may be called.
    PluginsCall,
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
    /// A list of URL patterns; see [`crate::url_pattern`].
    Urls,
    /// A list of networks, addresses and names; see [`crate::network`].
    Networks,
    /// A table of names, in which wildcards stand as in `Names`; behind each a list of path globs:
    /// programs that what is named may be given to.
    Programs,
    /// A table of names; behind each a list of servers, such as `https://api.example.org`.
    Servers,
    /// `true`, or a list of ports; see [`crate::port`].
    Ports,
    /// `true` or `false`.
    Flag,
}

impl Scope {
    /// Whether a grant binds what it names to where that may go.
    pub const fn binds(self) -> bool {
        matches!(self, Self::Programs | Self::Servers)
    }
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
        Self::SecretsEnv,
        Self::SecretsHeader,
        Self::SecretsReveal,
        Self::PackagesQuery,
        Self::PackagesInstall,
        Self::PackagesRemove,
        Self::PackagesUpgrade,
        Self::PackagesRefresh,
        Self::UsersQuery,
        Self::UsersCreate,
        Self::UsersModify,
        Self::UsersRemove,
        Self::UsersGroups,
        Self::UsersIds,
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
        Self::StateRead,
        Self::StateWrite,
        Self::EventsEmit,
        Self::HttpSend,
        Self::HttpAddresses,
        Self::PluginsCall,
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
            Self::SecretsEnv => "secrets.env",
            Self::SecretsHeader => "secrets.header",
            Self::SecretsReveal => "secrets.reveal",
            Self::PackagesQuery => "packages.query",
            Self::PackagesInstall => "packages.install",
            Self::PackagesRemove => "packages.remove",
            Self::PackagesUpgrade => "packages.upgrade",
            Self::PackagesRefresh => "packages.refresh",
            Self::UsersQuery => "users.query",
            Self::UsersCreate => "users.create",
            Self::UsersModify => "users.modify",
            Self::UsersRemove => "users.remove",
            Self::UsersGroups => "users.groups",
            Self::UsersIds => "users.ids",
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
            Self::StateRead => "state.read",
            Self::StateWrite => "state.write",
            Self::EventsEmit => "events.emit",
            Self::HttpSend => "http.send",
            Self::HttpAddresses => "http.addresses",
            Self::PluginsCall => "plugins.call",
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
            | Self::SecretsReveal
            | Self::FactsRead
            | Self::EnvironmentRead
            | Self::StateRead
            | Self::StateWrite
            | Self::EventsEmit
            | Self::PackagesQuery
            | Self::PackagesInstall
            | Self::PackagesRemove
            | Self::PackagesUpgrade
            | Self::PackagesRefresh
            | Self::UsersQuery
            | Self::UsersCreate
            | Self::UsersModify
            | Self::UsersRemove
            | Self::UsersGroups
            | Self::UsersIds
            | Self::ServicesStatus
            | Self::ServicesStart
            | Self::ServicesStop
            | Self::ServicesRestart
            | Self::ServicesReload
            | Self::ServicesEnable
            | Self::ServicesDisable
            | Self::ServicesDefine
            | Self::PluginsCall => Scope::Names,
            Self::HttpSend => Scope::Urls,
            Self::HttpAddresses => Scope::Networks,
            Self::SecretsEnv => Scope::Programs,
            Self::SecretsHeader => Scope::Servers,
            Self::ProcessNetwork => Scope::Ports,
            Self::ProcessShell
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
