//! Words of strangers: names, messages and paths that come from a workflow.

use std::fmt::{self, Write};

use serde::{Serialize, Serializer};

/// Text from a workflow, which may hold escape sequences or bidirectional controls. It has no
/// `Display`: it reaches a terminal only through [`Untrusted::escaped`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Untrusted(String);

impl Untrusted {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it came, for comparing and for machine formats that escape it themselves.
    pub fn raw(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// On one line, fit for a terminal: every control, line break and bidirectional character is
    /// written as an escape.
    pub fn escaped(&self) -> String {
        escape(&self.0, |_| false)
    }

    /// As [`escaped`](Self::escaped), with line feeds and tabs kept.
    pub fn escaped_lines(&self) -> String {
        escape(&self.0, |character| matches!(character, '\n' | '\t'))
    }
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if keep(character) || !is_unsafe_to_show(character) {
            escaped.push(character);
        } else {
            match character {
                '\n' => escaped.push_str("\\n"),
                '\r' => escaped.push_str("\\r"),
                '\t' => escaped.push_str("\\t"),
                _ => write!(escaped, "\\u{{{:x}}}", u32::from(character))
                    .expect("a String takes every write"),
            }
        }
    }
    escaped
}

/// Whether a character changes how a terminal shows what stands around it: C0 and C1 controls,
/// line and paragraph separators, bidirectional controls (Unicode UAX 9) and invisible format
/// characters.
pub fn is_unsafe_to_show(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.escaped())
    }
}

/// As it came: JSON and CBOR escape or frame text themselves.
impl Serialize for Untrusted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<T: Into<String>> From<T> for Untrusted {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_bidirectional_marks_are_spelt_out() {
        let text = Untrusted::new("a\u{1b}[2Jb\u{202e}c\nd\u{9b}é");
        assert_eq!(text.escaped(), "a\\u{1b}[2Jb\\u{202e}c\\nd\\u{9b}é");
        assert_eq!(text.escaped_lines(), "a\\u{1b}[2Jb\\u{202e}c\nd\\u{9b}é");
    }
}
