//! Events for programs: one JSON object a line.

use serde::Serialize;
use sloth_workflow::text::is_unsafe_to_show;

/// One line of JSON. JSON escapes control characters itself; those that reorder or hide text on a
/// terminal are escaped too, which changes nothing for a reader of JSON.
pub(crate) fn line(value: &impl Serialize) -> String {
    use std::fmt::Write;
    let json = serde_json::to_string(value).expect("events and plans are plain data");
    if !json.chars().any(is_unsafe_to_show) {
        return json;
    }
    json.chars()
        .fold(String::with_capacity(json.len()), |mut line, character| {
            if is_unsafe_to_show(character) {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    write!(line, "\\u{unit:04x}").expect("a String takes every write");
                }
            } else {
                line.push(character);
            }
            line
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bidirectional_marks_are_escaped_and_read_back_the_same() {
        let text = "a\u{202e}b\u{1b}\u{e0041}é";
        let json = line(&text);
        assert_eq!(json, "\"a\\u202eb\\u001b\\udb40\\udc41é\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
