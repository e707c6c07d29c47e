//! What stands above the library's functions: a block of `---` lines that begins with how the
//! function is called, `name.function(path[, options])`, and goes on with what it does.

use serde::Serialize;

/// What a comment is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Function,
    /// Called with a colon, on something that a function gave.
    Method,
    Value,
}

/// One comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) call: String,
    pub(super) description: String,
}

/// The comments of a file that say how something is called, in their order.
pub(super) fn comments(text: &str) -> Vec<Comment> {
    let mut found = Vec::new();
    let mut block: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(said) = line
            .strip_prefix("---")
            .filter(|said| !said.starts_with('-'))
        {
            block.push(said.trim());
        } else if !block.is_empty() {
            found.extend(comment(&block.join(" "), line));
            block.clear();
        }
    }
    found.extend(comment(&block.join(" "), ""));
    found
}

/// What a file says of itself at its top, in one paragraph.
pub(super) fn introduction(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("--"))
        .take_while(|line| !line.starts_with('-'))
        .map(str::trim)
        .collect();
    lines.join(" ").trim().to_owned()
}

fn comment(block: &str, code: &str) -> Option<Comment> {
    let end = block
        .find(|c: char| !(c.is_ascii_alphanumeric() || "_.:".contains(c)))
        .unwrap_or(block.len());
    let (name, rest) = block.split_at(end);
    let words = name.split(['.', ':']);
    if !words.clone().all(is_word) {
        return None;
    }
    let is_method = name.contains(':');
    let (kind, length) = match rest.chars().next() {
        Some('(' | '{') if is_method => (Kind::Method, closing(rest)?),
        Some('(' | '{') => (Kind::Function, closing(rest)?),
        // A value is told from a sentence by the code beneath, which sets it.
        _ => {
            code.strip_prefix(name)?.trim_start().strip_prefix("= ")?;
            (Kind::Value, 0)
        }
    };
    Some(Comment {
        name: name.to_owned(),
        kind,
        call: block[..end + length].to_owned(),
        description: rest[length..].trim().to_owned(),
    })
}

fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// The length of what the bracket at the beginning encloses, itself included.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut quoted = false;
    for (index, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index + character.len_utf8());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, String) {
        let [comment] = comments(text).try_into().expect("one comment");
        (comment.call, comment.description)
    }

    #[test]
    fn a_call_ends_at_its_closing_bracket_however_many_lines_it_takes() {
        let (call, description) = one(
            "--- f.block{path=, marker=\"# {mark} (\", state=\"a\"|\"b\",\n--- mode=} sees to\n--- lines.\nfunction",
        );
        assert_eq!(
            call,
            "f.block{path=, marker=\"# {mark} (\", state=\"a\"|\"b\", mode=}"
        );
        assert_eq!(description, "sees to lines.");
    }

    #[test]
    fn a_sentence_is_no_call() {
        assert_eq!(comments("--- Gives (nearly) all.\nlocal function f()"), []);
        assert_eq!(comments("--- debug.traceback and more\ndebug = {}"), []);
        assert_eq!(
            comments("-- f.x() is told to nobody\n---- f.y() neither"),
            []
        );
    }

    #[test]
    fn values_and_methods_are_told_from_functions() {
        let found =
            comments("--- json.null stands\njson.null = 1\n--- channel:send(value) sends\n");
        assert_eq!((found[0].kind, found[1].kind), (Kind::Value, Kind::Method));
        assert_eq!(found[0].call, "json.null");
    }

    #[test]
    fn an_introduction_is_what_stands_first() {
        assert_eq!(
            introduction("-- One\n-- two.\nlocal x\n-- three"),
            "One two."
        );
        assert_eq!(introduction("local x"), "");
    }
}
