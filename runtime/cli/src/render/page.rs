//! Texts to read, in lines of eighty columns.

/// Columns of a line.
const WIDTH: usize = 80;

/// The words of a text in lines of which each begins after so many spaces.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if used > 0 && used + 1 + width > WIDTH {
            lines.push('\n');
            used = 0;
        }
        if used == 0 {
            lines.push_str(&" ".repeat(indent));
            used = indent;
        } else {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += width;
    }
    lines
}

/// A sentence, without its end if the line has no room for all of it: up to the last mark that
/// divides it, else up to a word.
pub(crate) fn shortened(sentence: &str, indent: usize) -> String {
    let room = WIDTH.saturating_sub(indent);
    if sentence.chars().count() <= room {
        return sentence.to_owned();
    }
    let fits = |end: usize| sentence[..end].chars().count() < room;
    let last = |marks: &[char]| {
        sentence
            .match_indices(marks)
            .map(|(end, _)| end)
            .take_while(|end| fits(*end))
            .last()
    };
    match (last(&[':', ';', ',']), last(&[' '])) {
        (Some(end), _) => format!("{}.", &sentence[..end]),
        (None, Some(end)) => format!("{}…", &sentence[..end]),
        (None, None) => sentence.chars().take(room).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_page() {
        let text = wrapped(&"word ".repeat(40), 6);
        let fits = |line: &str| line.len() <= WIDTH && line.starts_with("      word");
        assert!(text.lines().all(fits), "{text}");
        assert_eq!(text.lines().count(), 3);
        assert_eq!(wrapped("", 6), "");
    }

    #[test]
    fn a_sentence_is_cut_where_it_divides() {
        let sentence = format!(
            "Files as they should be: each {} differs.",
            "word ".repeat(20)
        );
        assert_eq!(shortened(&sentence, 10), "Files as they should be.");
        assert_eq!(shortened("Short, and whole.", 10), "Short, and whole.");
        assert_eq!(shortened("äöü äöü äöü", 72), "äöü äöü…");
    }
}
