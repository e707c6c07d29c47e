//! YAML 1.2: the parser's events as plain data, and plain data as text in block style.

use std::collections::HashMap;
use std::fmt::Write;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

use crate::data::{DEEPEST, Data};
use crate::json;

/// How many values aliases may stand for, all together: a few lines can name billions.
const MOST_REPEATED: usize = 100_000;

/// Reads every document of a text.
///
/// # Errors
/// What is wrong, with line and column where the parser says it.
pub(crate) fn decode(text: &str) -> Result<Vec<Data>, String> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        repeated: 0,
    };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(documents),
            Event::DocumentStart(_) => {
                let event = reader.next()?;
                documents.push(reader.value(event, 0)?);
                reader.anchors.clear();
            }
            _ => {}
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Data>,
    repeated: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.parser.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(describe(&error)),
            None => Ok(Event::StreamEnd),
        }
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<Data, String> {
        if depth > DEEPEST {
            return Err(format!("nested deeper than {DEEPEST} levels"));
        }
        let (anchor, data) = match event {
            Event::Alias(anchor) => {
                let data = self.anchors.get(&anchor).cloned();
                let data = data.ok_or("an alias stands inside what it names")?;
                self.repeated += count(&data);
                if self.repeated > MOST_REPEATED {
                    return Err(format!(
                        "aliases stand for more than {MOST_REPEATED} values"
                    ));
                }
                return Ok(data);
            }
            Event::Scalar(text, style, anchor, tag) => {
                // A tag of YAML's own that is not `!!str` says no more than the text's form does.
                let is_text = tag.is_some_and(|tag| tag.suffix == "str");
                let plain = style == ScalarStyle::Plain && !is_text;
                let data = plain.then(|| plain_value(&text)).flatten();
                (
                    anchor,
                    data.unwrap_or_else(|| Data::Text(text.into_owned())),
                )
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => items.push(self.value(event, depth + 1)?),
                    }
                }
                (anchor, Data::List(items))
            }
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            _ => (0, Data::Nil),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, data.clone());
        }
        Ok(data)
    }

    fn map(&mut self, depth: usize) -> Result<Data, String> {
        let mut entries: Vec<(Data, Data)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (key, plain) = match self.next()? {
                Event::MappingEnd => break,
                Event::Scalar(text, style, ..) => (text.into_owned(), style == ScalarStyle::Plain),
                Event::Alias(anchor) => match self.anchors.get(&anchor) {
                    Some(Data::Text(text)) => (text.clone(), false),
                    _ => return Err("a key is not text".to_owned()),
                },
                _ => return Err("a key is not text".to_owned()),
            };
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            if plain && key == "<<" {
                match value {
                    Data::List(items) => merged.extend(items),
                    other => merged.push(other),
                }
                continue;
            }
            let key = Data::Text(key);
            if entries.iter().any(|(known, _)| *known == key) {
                let Data::Text(key) = key else { continue };
                return Err(format!("the key `{key}` stands twice in a map"));
            }
            entries.push((key, value));
        }
        for map in merged {
            let Data::Map(more) = map else {
                return Err("what `<<` merges is not a map".to_owned());
            };
            for (key, value) in more {
                if entries.iter().all(|(known, _)| *known != key) {
                    entries.push((key, value));
                }
            }
        }
        Ok(Data::Map(entries))
    }
}

fn describe(error: &ScanError) -> String {
    let place = error.marker();
    format!(
        "{} at line {} column {}",
        error.info(),
        place.line(),
        place.col() + 1
    )
}

fn count(data: &Data) -> usize {
    match data {
        Data::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Data::Map(entries) => 1 + entries.iter().map(|(_, value)| count(value)).sum::<usize>(),
        _ => 1,
    }
}

/// What unquoted text stands for in the core schema; none if it is text.
fn plain_value(text: &str) -> Option<Data> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Nil,
        "true" | "True" | "TRUE" => Data::Boolean(true),
        "false" | "False" | "FALSE" => Data::Boolean(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Data::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Data::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Data::Float(f64::NAN),
        _ => return number(text),
    })
}

fn number(text: &str) -> Option<Data> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return i64::from_str_radix(digits, radix).ok().map(Data::Integer);
        }
    }
    let digits = text.trim_start_matches(['+', '-']);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    text.parse()
        .map(Data::Integer)
        .or_else(|_| text.parse().map(Data::Float))
        .ok()
}

/// The text of a value, ending in a line's end.
///
/// # Errors
/// A sentence, for a string that is not UTF-8.
pub(crate) fn encode(data: &Data) -> Result<String, String> {
    let mut text = String::new();
    write(data, 0, &mut text)?;
    Ok(text.trim_start().to_owned())
}

/// Writes what follows a key or a dash, and the line's end.
fn write(data: &Data, indent: usize, text: &mut String) -> Result<(), String> {
    let start = |text: &mut String| {
        // What follows a dash stands on its line.
        if !text.ends_with("- ") {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent));
        }
    };
    match data {
        Data::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index == 0 {
                    start(text);
                } else {
                    text.extend(std::iter::repeat_n(' ', indent));
                }
                text.push_str("- ");
                write(item, indent + 2, text)?;
            }
        }
        Data::Map(entries) if !entries.is_empty() => {
            for (index, (key, value)) in entries.iter().enumerate() {
                if index == 0 {
                    start(text);
                } else {
                    text.extend(std::iter::repeat_n(' ', indent));
                }
                text.push_str(&scalar(key)?);
                text.push(':');
                if !matches!(value, Data::List(items) if !items.is_empty())
                    && !matches!(value, Data::Map(entries) if !entries.is_empty())
                {
                    text.push(' ');
                }
                write(value, indent + 2, text)?;
            }
        }
        Data::Text(lines) if is_block(lines) => {
            let chomp = match lines.len() - lines.trim_end_matches('\n').len() {
                0 => "-",
                1 => "",
                _ => "+",
            };
            let _ = writeln!(text, "|{chomp}");
            for line in lines.strip_suffix('\n').unwrap_or(lines).split('\n') {
                if !line.is_empty() {
                    // At the top, a text must still be deeper than nothing.
                    text.extend(std::iter::repeat_n(' ', indent.max(2)));
                    text.push_str(line);
                }
                text.push('\n');
            }
        }
        other => {
            text.push_str(&scalar(other)?);
            text.push('\n');
        }
    }
    Ok(())
}

/// Says whether text of several lines can stand as they are.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && text
            .chars()
            .all(|letter| letter == '\n' || letter == '\t' || !letter.is_control())
}

fn scalar(data: &Data) -> Result<String, String> {
    Ok(match data {
        Data::Float(value) if value.is_nan() => ".nan".to_owned(),
        Data::Float(value) if value.is_infinite() && *value > 0.0 => ".inf".to_owned(),
        Data::Float(value) if value.is_infinite() => "-.inf".to_owned(),
        Data::Text(text) if is_plain(text) => text.clone(),
        // JSON is YAML.
        other => json::encode(other, false)?,
    })
}

/// Says whether text reads as itself without quotes, for readers of YAML 1.1 too.
fn is_plain(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/' || first == '_')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || " _./@+-:=()".contains(letter))
        && !matches!(
            &*lower,
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        )
}
