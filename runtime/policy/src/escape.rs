//! Text of strangers, written so that a terminal, TOML and Lua read it as text.

use std::fmt::Write as _;

/// Writes control, newline, bidirectional and other invisible characters as `\u{…}`, so that text
/// cannot pass for what it is not. A newline is `\n`, a tab `\t`.
pub fn visible(text: &str) -> String {
    escaped(
        text,
        |_| None,
        |out, character| write!(out, "\\u{{{:x}}}", u32::from(character)),
    )
}

/// Writes a TOML basic string, quotes included.
pub(crate) fn toml(text: &str) -> String {
    let inner = escaped(text, quote_or_backslash, |out, character| {
        let code = u32::from(character);
        if code > 0xffff {
            write!(out, "\\U{code:08x}")
        } else {
            write!(out, "\\u{code:04x}")
        }
    });
    format!("\"{inner}\"")
}

/// Writes a Lua 5.4 string, quotes included.
pub(crate) fn lua(text: &str) -> String {
    let inner = escaped(text, quote_or_backslash, |out, character| {
        write!(out, "\\u{{{:x}}}", u32::from(character))
    });
    format!("\"{inner}\"")
}

fn quote_or_backslash(character: char) -> Option<&'static str> {
    match character {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        _ => None,
    }
}

fn escaped(
    text: &str,
    special: impl Fn(char) -> Option<&'static str>,
    invisible: impl Fn(&mut String, char) -> std::fmt::Result,
) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            character if is_invisible(character) => {
                invisible(&mut out, character).expect("writing to a string does not fail");
            }
            character => match special(character) {
                Some(escape) => out.push_str(escape),
                None => out.push(character),
            },
        }
    }
    out
}

/// Control characters, bidirectional controls, and what takes no room: zero-width characters, line
/// and paragraph separators, tags. Bidirectional ones as in Unicode Standard Annex 9.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_disguise_text_is_written_out() {
        assert_eq!(
            visible("a\u{1b}[2J\n\u{202e}b\u{200b}\u{85}"),
            "a\\u{1b}[2J\\n\\u{202e}b\\u{200b}\\u{85}"
        );
        assert_eq!(visible("naïve/пример \"x\" \\"), "naïve/пример \"x\" \\");
    }

    #[test]
    fn toml_and_lua_strings_escape_their_quotes() {
        assert_eq!(toml("a\"\\\u{7f}\u{e0001}"), r#""a\"\\\u007f\U000e0001""#);
        assert_eq!(lua("a\"\\\0"), r#""a\"\\\u{0}""#);
    }
}
