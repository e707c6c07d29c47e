//! What can be wrong with names, tokens, certificates and the files that they lie in.

use std::io;
use std::path::PathBuf;

/// What is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system failed.
    #[error("failed to {doing} {}: {source}", path.display())]
    System {
        /// A verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Its words.
        source: io::Error,
    },
    /// Others than the owner can get at a file.
    #[error(
        "{} can be read or written by others (mode {mode:04o}), and is not used; whoever may have had it stays \
         in: make a new one, or, if nobody had it, run chmod {} {}",
        path.display(), if *folder { "700" } else { "600" }, path.display()
    )]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Whether it is a folder.
        folder: bool,
    },
    /// Somebody else owns it.
    #[error(
        "{} belongs to user {owner}, who could change it, and is not used; run as that user, or name another place",
        path.display()
    )]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// A file is not what it should be.
    #[error("{} is not {what} ({why}); restore it from a copy, or move it away", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// With an article.
        what: &'static str,
        /// What does not fit.
        why: String,
    },
    /// A name that nobody can have.
    #[error("{0}")]
    Name(String),
    /// A token that is none.
    #[error("{0}")]
    Token(String),
    /// A certificate, or what is to become one.
    #[error("{0}")]
    Certificate(String),
    /// The library that signs refuses.
    #[error("failed to {doing}: {why}")]
    Signing {
        /// A verb and its object.
        doing: &'static str,
        /// Its words.
        why: String,
    },
}

impl Error {
    /// Whether the file is somebody else's, whom it keeps out as it should.
    pub fn is_forbidden(&self) -> bool {
        match self {
            Self::System { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            Self::Foreign { .. } => true,
            _ => false,
        }
    }

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

    pub(super) fn signing<W: std::fmt::Display>(doing: &'static str) -> impl FnOnce(W) -> Self {
        move |why| Self::Signing {
            doing,
            why: why.to_string(),
        }
    }
}
