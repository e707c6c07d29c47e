//! Why secrets cannot be read or changed: the file, and what to do about it.

use std::io;
use std::path::PathBuf;

use sloth_sandbox::ports::secrets::{LONGEST, SHORTEST};

/// What is wrong. Each reads after “failed to …: ”. None holds anything of a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system failed.
    #[error("failed to {doing} {}: {source}", path.display())]
    System {
        /// A verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Its words.
        source: io::Error,
    },
    /// The sealed file is not as this program wrote it.
    #[error(
        "{} is damaged ({why}); nothing was changed: restore it from a copy, or move it away and set \
         the secrets anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// A later version wrote it.
    #[error("{} was written by a later version of sloth-runner; use that one", path.display())]
    Later {
        /// The file.
        path: PathBuf,
    },
    /// There is something sealed and no key.
    #[error(
        "the key {} is not there; restore it, or name another with --key-file: without it the secrets \
         in {} cannot be read",
        key.display(), sealed.display()
    )]
    NoKey {
        /// Where the key should be.
        key: PathBuf,
        /// What it opens.
        sealed: PathBuf,
    },
    /// The key's file holds something else.
    #[error("{} is no key of secrets; name the right file with --key-file, or restore it", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// Others can read the key.
    #[error(
        "the key {} can be read by others (mode {mode:04o}); run: chmod 600 {}",
        path.display(), path.display()
    )]
    Exposed {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key belongs to somebody else.
    #[error(
        "the key {} belongs to another user (uid {owner}), who can read it; make the secrets a key of \
         your own: sloth-runner secret rotate-key",
        path.display()
    )]
    Foreign {
        /// The key's file.
        path: PathBuf,
        /// Whom it belongs to.
        owner: u32,
    },
    /// The key is not the one that was used.
    #[error(
        "{} was sealed with another key than {}; name the right one with --key-file, or restore it",
        sealed.display(), key.display()
    )]
    WrongKey {
        /// What cannot be opened.
        sealed: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A key that is given is not this program's to replace.
    #[error(
        "the key {} is not this program's to replace; name a file for the new one with --new-key-file",
        path.display()
    )]
    NotOurs {
        /// The key's file.
        path: PathBuf,
    },
    /// Somebody else is changing them.
    #[error("{} is held by another sloth-runner that changes the secrets; try again", path.display())]
    Busy {
        /// The lock's file.
        path: PathBuf,
    },
    /// A text that names no secret.
    #[error(
        "`{}` is no name of a secret; write letters, digits, `.`, `_` and `-`, at most 128, a letter or \
         digit first", .0.escape_debug()
    )]
    Name(String),
    /// A value that cannot be redacted.
    #[error("the value is shorter than {SHORTEST} bytes: it would occur in other text by chance")]
    Short,
    /// A value that is no password or key any more.
    #[error("the value is longer than {} KiB; keep a key to it instead", LONGEST >> 10)]
    Long,
    /// A value that no environment and no header can hold.
    #[error("the value is not UTF-8 text without NUL bytes; encode it, for example in base64")]
    NotText,
}

impl Error {
    pub(super) fn system(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::System {
            doing,
            path,
            source,
        }
    }
}
