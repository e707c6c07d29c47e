//! A TOML document with the places its parts stand at, so that every complaint names one.

use std::ops::Range;

use toml_edit::{Item, TableLike};

use crate::error::{ParseError, nearest};

/// The text of a policy, for turning byte offsets into lines and columns.
pub(crate) struct Reader<'a> {
    pub(crate) text: &'a str,
    pub(crate) file: &'a str,
}

impl Reader<'_> {
    /// Line and column, each from 1, of a byte offset.
    pub(crate) fn place(&self, span: Option<Range<usize>>) -> (usize, usize) {
        let offset = span.map_or(0, |span| span.start);
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    pub(crate) fn error(
        &self,
        span: Option<Range<usize>>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> ParseError {
        let (line, column) = self.place(span);
        ParseError {
            file: self.file.to_owned(),
            line,
            column,
            message: message.into(),
            help,
        }
    }

    /// The error for a key that is none of `known`.
    pub(crate) fn unknown_key(
        &self,
        table: &dyn TableLike,
        key: &str,
        place: &str,
        known: &[&str],
    ) -> ParseError {
        let help = nearest(key, known.iter().copied())
            .unwrap_or_else(|| format!("known here: {}", known.join(", ")));
        self.error(
            key_span(table, key),
            format!("unknown key `{key}` in {place}"),
            Some(help),
        )
    }

    pub(crate) fn table<'i>(
        &self,
        item: &'i Item,
        key: &str,
    ) -> Result<&'i dyn TableLike, ParseError> {
        item.as_table_like().ok_or_else(|| {
            let message = format!("`{key}` is a table, not {}", described(item));
            self.error(
                item.span(),
                message,
                Some(format!("write [{key}] and its keys below")),
            )
        })
    }

    pub(crate) fn string<'i>(
        &self,
        item: &'i Item,
        key: &str,
        example: &str,
    ) -> Result<&'i str, ParseError> {
        item.as_str().ok_or_else(|| {
            let message = format!("`{key}` is a text, not {}", described(item));
            self.error(
                item.span(),
                message,
                Some(format!("write {key} = {example}")),
            )
        })
    }
}

/// Where a key of a table stands.
pub(crate) fn key_span(table: &dyn TableLike, key: &str) -> Option<Range<usize>> {
    table
        .get_key_value(key)
        .and_then(|(key, item)| key.span().or_else(|| item.span()))
}

/// What an item is, with its article.
pub(crate) fn described(item: &Item) -> String {
    let kind = item.type_name();
    let article = if kind.starts_with(['a', 'i', 'o']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}
