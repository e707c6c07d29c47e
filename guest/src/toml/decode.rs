//! The parser's events as plain data.

use std::borrow::Cow;

use toml_datetime::Datetime;
use toml_parser::decoder::{Encoding, ScalarKind};
use toml_parser::parser::{EventReceiver, ValidateWhitespace, parse_document};
use toml_parser::{ErrorSink, Expected, ParseError, Raw, Source, Span};

use super::tree::{Last, Table, beneath};
use crate::data::{DEEPEST, Data};

/// Reads a text.
///
/// # Errors
/// The first thing that is wrong, with line and column.
pub(crate) fn decode(text: &str) -> Result<Data, String> {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut problem: Option<ParseError> = None;
    let mut builder = Builder {
        text,
        root: Table::default(),
        header: Vec::new(),
        keys: Vec::new(),
        open: Vec::new(),
    };
    let mut checked = ValidateWhitespace::new(&mut builder, source);
    parse_document(&tokens, &mut checked, &mut problem);
    match problem {
        None => Ok(builder.root.into_data()),
        Some(problem) => Err(describe(text, &problem)),
    }
}

/// Names, one beneath the other, and where each stands.
type Keys = Vec<(String, Span)>;

/// A value that has begun and not ended, with the names it is to go under.
enum Open {
    List(Vec<Data>, Keys),
    Table(Table, Keys),
}

struct Builder<'a> {
    text: &'a str,
    root: Table,
    /// The table that the last header named.
    header: Vec<String>,
    /// The names read since the last value.
    keys: Keys,
    open: Vec<Open>,
}

impl Builder<'_> {
    /// How deep the place is where the next value goes.
    fn depth(&self) -> usize {
        let open = |open: &Open| match open {
            Open::List(_, keys) | Open::Table(_, keys) => 1 + keys.len(),
        };
        self.header.len() + self.keys.len() + self.open.iter().map(open).sum::<usize>()
    }

    /// Begins a list or a table. Gives whether what is in it is to be read.
    fn enter(
        &mut self,
        open: impl FnOnce(Keys) -> Open,
        span: Span,
        error: &mut dyn ErrorSink,
    ) -> bool {
        let fits = self.fits(span, error);
        let keys = std::mem::take(&mut self.keys);
        self.open.push(open(keys));
        fits
    }

    fn fits(&self, span: Span, error: &mut dyn ErrorSink) -> bool {
        let fits = self.depth() < DEEPEST;
        if !fits {
            refuse(error, span, format!("nested deeper than {DEEPEST} levels"));
        }
        fits
    }

    /// Puts a value where it belongs.
    fn put(&mut self, value: Data, span: Span, error: &mut dyn ErrorSink) {
        let table = match self.open.last_mut() {
            Some(Open::List(items, _)) => return items.push(value),
            Some(Open::Table(table, _)) => table,
            // What is wrong with the header has been told.
            None => match beneath(&mut self.root, &self.header) {
                Some(table) => table,
                None => return,
            },
        };
        let keys = std::mem::take(&mut self.keys);
        let place = keys.last().map_or(span, |(_, place)| *place);
        if keys.len() > DEEPEST {
            // That has been told. A tree so deep could not even be taken down again.
            return;
        }
        if let Err(message) = table.insert(keys.into_iter().map(|(key, _)| key).collect(), value) {
            refuse(error, place, message);
        }
    }

    fn define(&mut self, last: Last, span: Span, error: &mut dyn ErrorSink) {
        self.header.clear();
        let keys = std::mem::take(&mut self.keys);
        let place = keys.last().map_or(span, |(_, place)| *place);
        let keys: Vec<String> = keys.into_iter().map(|(key, _)| key).collect();
        let made = if keys.len() > DEEPEST {
            Err(format!("nested deeper than {DEEPEST} levels"))
        } else {
            self.root.define(&keys, last)
        };
        match made {
            Ok(()) => self.header = keys,
            Err(message) => refuse(error, place, message),
        }
    }
}

impl EventReceiver for Builder<'_> {
    fn std_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.keys.clear();
    }

    fn std_table_close(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.define(Last::Table, span, error);
    }

    fn array_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.keys.clear();
    }

    fn array_table_close(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.define(Last::Tables, span, error);
    }

    fn inline_table_open(&mut self, span: Span, error: &mut dyn ErrorSink) -> bool {
        self.enter(|keys| Open::Table(Table::default(), keys), span, error)
    }

    fn inline_table_close(&mut self, span: Span, error: &mut dyn ErrorSink) {
        if let Some(Open::Table(table, keys)) = self.open.pop() {
            self.keys = keys;
            self.put(table.into_data(), span, error);
        }
    }

    fn array_open(&mut self, span: Span, error: &mut dyn ErrorSink) -> bool {
        self.enter(|keys| Open::List(Vec::new(), keys), span, error)
    }

    fn array_close(&mut self, span: Span, error: &mut dyn ErrorSink) {
        if let Some(Open::List(items, keys)) = self.open.pop() {
            self.keys = keys;
            self.put(Data::List(items), span, error);
        }
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let mut key = Cow::Borrowed("");
        Raw::new_unchecked(&self.text[span.start()..span.end()], encoding, span)
            .decode_key(&mut key, error);
        self.keys.push((key.into_owned(), span));
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let mut text = Cow::Borrowed("");
        let raw = Raw::new_unchecked(&self.text[span.start()..span.end()], encoding, span);
        let kind = raw.decode_scalar(&mut text, error);
        match scalar(kind, text) {
            Ok(value) if self.fits(span, error) => self.put(value, span, error),
            Ok(_) => self.keys.clear(),
            Err(message) => refuse(error, span, message.to_owned()),
        }
    }
}

fn scalar(kind: ScalarKind, text: Cow<'_, str>) -> Result<Data, &'static str> {
    Ok(match kind {
        ScalarKind::String => Data::Text(text.into_owned()),
        ScalarKind::Boolean(value) => Data::Boolean(value),
        ScalarKind::DateTime => {
            text.parse::<Datetime>()
                .map_err(|_| "this is no date or time")?;
            Data::Text(text.into_owned())
        }
        ScalarKind::Float => match text.parse::<f64>() {
            Ok(value) if value.is_infinite() && !text.ends_with("inf") => {
                return Err("the number is beyond what a float can be");
            }
            Ok(value) => Data::Float(value),
            Err(_) => return Err("this is no number"),
        },
        ScalarKind::Integer(radix) => i64::from_str_radix(&text, radix.value())
            .map(Data::Integer)
            .map_err(|_| "the whole number is beyond 64 bits")?,
    })
}

fn refuse(error: &mut dyn ErrorSink, span: Span, message: String) {
    error.report_error(ParseError::new(message).with_unexpected(span));
}

fn describe(text: &str, problem: &ParseError) -> String {
    let mut message = problem.description().to_owned();
    for (index, expected) in problem.expected().unwrap_or_default().iter().enumerate() {
        message += if index == 0 { ", expected " } else { " or " };
        match expected {
            Expected::Literal(literal) => {
                message.push('`');
                message += literal;
                message.push('`');
            }
            Expected::Description(description) => message += description,
            _ => message += "something else",
        }
    }
    let at = problem.unexpected().or(problem.context());
    let before = text
        .get(..at.map_or(0, |span| span.start()))
        .unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |last| last.chars().count())
        + 1;
    format!("{message} at line {line} column {column}")
}
