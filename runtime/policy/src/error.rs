//! What is wrong with a policy or a declaration, and where.

use std::fmt;

/// A policy or a declaration that is not taken. Reads
/// ``policy.toml:3:1: unknown key `writ` in [files]; did you mean `write`?``
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    /// The file, as it was named to the parser.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong. May hold text of the file; not escaped for a terminal.
    pub message: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            help,
        } = self;
        write!(formatter, "{file}:{line}:{column}: {message}")?;
        match help {
            Some(help) => write!(formatter, "; {help}"),
            None => Ok(()),
        }
    }
}

/// The known word that an unknown one was probably meant to be, as a question.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|&(distance, known)| distance <= 1.max(known.chars().count() / 3))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, known)| format!("did you mean `{known}`?"))
}
