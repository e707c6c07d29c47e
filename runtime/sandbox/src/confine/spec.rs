//! What the agent asks of the helper, and what it can answer.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The oldest Landlock ABI that confines well enough: the first that covers moving (2) and truncating (3).
pub const LANDLOCK_ABI_NEEDED: u32 = 3;

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
    /// Whether it may use IPv4, IPv6 and netlink sockets.
    pub network: bool,
    /// Whether it may use Unix sockets.
    pub unix_sockets: bool,
    /// No namespaces, Landlock, seccomp or loss of capabilities. Limits and the control of processes stay, and so does
    /// `no_new_privs`: a supervisor could not end a program that gained more rights than itself.
    pub unconfined: bool,
    /// Most processes at once, the program included.
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

/// Why a program ended, as far as the supervisor can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reason {
    Itself,
    Asked,
    ProcessLimit,
}

impl Confinement {
    /// Refuses what could not reach the kernel unchanged.
    pub(super) fn check(&self) -> Result<(), Error> {
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
