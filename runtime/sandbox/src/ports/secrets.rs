//! Where the values of secrets come from.

use std::fmt;

use zeroize::Zeroizing;

/// Fewest bytes of a value, white space around it not counted. What is shorter occurs by chance, and
/// could not be redacted without redacting half of all text.
pub const SHORTEST: usize = 8;

/// Most bytes of a value.
pub const LONGEST: usize = 32 << 10;

/// The secrets of a node. Asked from threads that may wait.
pub trait Secrets: fmt::Debug + Send + Sync {
    /// The value of a name, none if there is no such secret. Text without NUL bytes, within
    /// [`SHORTEST`] and [`LONGEST`].
    fn value(&self, name: &str) -> Result<Option<Zeroizing<String>>, Unreadable>;
}

/// Why the store of a node's secrets cannot be read: what is wrong, and what to do about it. Holds
/// nothing of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// A node without secrets.
#[derive(Clone, Copy, Debug)]
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn value(&self, _: &str) -> Result<Option<Zeroizing<String>>, Unreadable> {
        Ok(None)
    }
}

/// Whether a text can name a secret: 1 to 128 letters, digits, `.`, `_` and `-`, a letter or digit
/// first. So a name says nothing to a terminal, a shell or a path.
pub fn is_name(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
