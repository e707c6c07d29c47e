//! What the agent asks of the helper, and what it can answer.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The oldest Landlock ABI that confines well enough: the first that covers moving (2) and truncating (3).
pub const LANDLOCK_ABI_NEEDED: u32 = 3;

/// The first Landlock ABI that holds TCP to ports.
pub const LANDLOCK_ABI_FOR_PORTS: u32 = 4;

/// The longest order the helper accepts, in bytes of JSON.
pub(super) const LONGEST_ORDER: usize = 4 << 20;

/// Everything the helper must know to start one program.
///
/// Paths are absolute and already resolved: the helper opens them without following symbolic links, because a link may
/// have been put there by an earlier program. A path that does not exist, or holds a link, grants nothing. Each list
/// holds files and trees alike; a tree grants for everything beneath it. The lists do not imply each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments; the first is the name it is called by.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// The folder it starts in.
    pub workdir: PathBuf,
    /// The step's own folder. The program may enter it and what lies in it whoever it runs as: the folders above may
    /// be closed to its account.
    pub scratch: Option<PathBuf>,
    /// Reading files and listing folders.
    pub read: Vec<PathBuf>,
    /// Executing files, which the kernel only does to what may be read as well.
    pub execute: Vec<PathBuf>,
    /// Making and changing files, folders, links, pipes and sockets. Replacing a file by renaming another over it also
    /// needs `delete`. There is no list for making without changing: Landlock cannot tell a new file from an old one.
    pub write: Vec<PathBuf>,
    /// Removing, and moving away.
    pub delete: Vec<PathBuf>,
    /// What of the network it may use.
    pub network: Network,
    /// Whether it may use Unix sockets.
    pub unix_sockets: bool,
    /// No namespaces, Landlock, seccomp or loss of capabilities. Limits and the control of processes stay, and so does
    /// `no_new_privs`: a supervisor could not end a program that gained more rights than itself.
    pub unconfined: bool,
    /// Most processes at once, the program included. A crowd may allow fewer.
    pub processes: u32,
    /// Most open descriptors of a process.
    pub open_files: u64,
    /// Most seconds of processor time of a process; `u64::MAX` is no limit.
    pub cpu_seconds: u64,
    /// Whom it runs as; the helper's own account otherwise.
    pub user: Option<Account>,
    /// How long it may take to end after it was asked to.
    pub grace: Duration,
}

/// What of the network a program may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    None,
    /// TCP over IPv4 and IPv6 to and from single ports, and datagrams over both if it says so. The kernel holds
    /// datagrams to no port.
    Ports {
        connect: Vec<u16>,
        listen: Vec<u16>,
        datagrams: bool,
    },
    /// IPv4, IPv6 and netlink sockets of every kind that the account may make.
    All,
}

impl Network {
    /// Whether it is held to single TCP ports, which the kernel must know how to do.
    pub(super) fn is_held_to_ports(&self) -> bool {
        matches!(self, Self::Ports { connect, listen, .. } if !connect.is_empty() || !listen.is_empty())
    }
}

/// An account of the machine, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// How a program came to its end, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub how: How,
    pub cause: Cause,
    /// None when the kernel did not say.
    pub used: Option<Used>,
}

/// What a program and all that it started used up, as far as it was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub user_microseconds: u64,
    pub system_microseconds: u64,
    /// Bytes of memory that the largest process held at once.
    pub memory: u64,
}

/// What the kernel says of a program's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// It ended with this exit code.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
}

/// Why a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Itself,
    TimedOut,
    Cancelled,
    OutputLimit,
    ProcessLimit,
}

/// Why a program could not be started or watched. The texts read after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("run {}: it does not exist, or the interpreter named in its first line does not", .0.display())]
    NotFound(PathBuf),
    #[error("run {}: {reason}; it must be an executable file that may be executed here", .program.display())]
    NotExecutable { program: PathBuf, reason: String },
    #[error(
        "confine a program: Landlock ABI {LANDLOCK_ABI_NEEDED} is needed (Linux 6.2, with landlock among the kernel's \
         lsm=) and {} is here; to run it all the same: [process] unconfined = true",
        .found.map_or_else(|| "none".to_owned(), |abi| abi.to_string())
    )]
    Unsupported { found: Option<u32> },
    #[error(
        "confine a program to the ports it may use: Landlock ABI {LANDLOCK_ABI_FOR_PORTS} is needed (Linux 6.7) and {} is \
         here; to give programs all of the network: [process] network = true",
        .found.map_or_else(|| "none".to_owned(), |abi| abi.to_string())
    )]
    NoPorts { found: Option<u32> },
    #[error("run a program: {0}")]
    Invalid(String),
    #[error("confine a program: {0}")]
    Helper(String),
}

/// What goes to the helper: its length (four bytes, little endian), this as JSON, and then `stdin` bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) confinement: Confinement,
    /// How many bytes for the program's standard input follow; it has none otherwise.
    pub(super) stdin: Option<u64>,
}

/// What comes back, as JSON up to the end of the stream.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Ended {
        how: How,
        reason: Reason,
        used: Option<Used>,
    },
    NotFound,
    NotExecutable(String),
    Failed(String),
}

/// What the agent may say after the order, a byte each.
pub(super) const END: u8 = 1;
/// All that there is is to be killed at once: with those of other programs it is too many.
pub(super) const KILL: u8 = 2;

/// Comes before a count of processes (four bytes, little endian) on the way to the agent; no report begins so.
pub(super) const COUNTED: u8 = 0;

/// Why a program ended, as far as the supervisor can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reason {
    Itself,
    Asked,
    ProcessLimit,
}

impl Confinement {
    /// Refuses what this kernel could not be held to, and what could not reach it unchanged.
    pub(super) fn check(&self, abi: Option<u32>) -> Result<(), Error> {
        let lacks = |needed| !self.unconfined && abi.is_none_or(|abi| abi < needed);
        if lacks(LANDLOCK_ABI_NEEDED) {
            return Err(Error::Unsupported { found: abi });
        }
        if self.network.is_held_to_ports() && lacks(LANDLOCK_ABI_FOR_PORTS) {
            return Err(Error::NoPorts { found: abi });
        }
        let refuse = |text: String| Err(Error::Invalid(text));
        let paths = [&self.read, &self.execute, &self.write, &self.delete];
        for path in paths
            .into_iter()
            .flatten()
            .chain([&self.program, &self.workdir])
            .chain(&self.scratch)
        {
            if !path.is_absolute() || holds_nul(path) {
                return refuse(format!("{} is not an absolute path", path.display()));
            }
        }
        if self.argv.is_empty() {
            return refuse("its list of arguments is empty".to_owned());
        }
        if let Some(argument) = self.argv.iter().find(|argument| argument.contains('\0')) {
            return refuse(format!("the argument {argument:?} holds a NUL character"));
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return refuse(format!(
                    "the environment variable {name:?} has no usable name, or holds a NUL character"
                ));
            }
        }
        Ok(())
    }
}

fn holds_nul(path: &Path) -> bool {
    path.as_os_str().as_bytes().contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(network: Network, unconfined: bool) -> Confinement {
        Confinement {
            program: "/bin/true".into(),
            argv: vec!["true".into()],
            env: Vec::new(),
            workdir: "/".into(),
            scratch: None,
            read: Vec::new(),
            execute: Vec::new(),
            write: Vec::new(),
            delete: Vec::new(),
            network,
            unix_sockets: false,
            unconfined,
            processes: 1,
            open_files: 8,
            cpu_seconds: 1,
            user: None,
            grace: Duration::ZERO,
        }
    }

    fn ports(connect: &[u16], datagrams: bool) -> Network {
        Network::Ports {
            connect: connect.to_vec(),
            listen: Vec::new(),
            datagrams,
        }
    }

    #[test]
    fn a_kernel_that_knows_no_ports_runs_no_program_that_is_held_to_some() {
        let confined = with(ports(&[443], false), false);
        assert!(matches!(
            confined.check(Some(3)),
            Err(Error::NoPorts { found: Some(3) })
        ));
        assert!(confined.check(Some(4)).is_ok());
        assert!(with(ports(&[443], false), true).check(None).is_ok());
        // Neither all of the network, nor datagrams alone, nor nothing takes rules about ports.
        for network in [Network::All, Network::None, ports(&[], true)] {
            assert!(with(network, false).check(Some(3)).is_ok());
        }
    }

    #[test]
    fn a_kernel_that_confines_too_little_runs_nothing_confined() {
        assert!(with(Network::None, false).check(Some(2)).is_err());
        assert!(with(Network::None, false).check(None).is_err());
        assert!(with(Network::None, true).check(None).is_ok());
    }
}
