//! From text to a tree.

use super::pattern::Pattern;
use super::token::{Placed, Token, tokens};
use super::tree::{Selector, Tree};
use super::{MAX_DEPTH, MAX_LENGTH};
use crate::text::Untrusted;

/// Why text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `at` is a character, counted from 1; an empty `found` is the end.
    #[error("at character {at}: expected {expected}, found {}", shown(found))]
    Unexpected {
        at: usize,
        expected: &'static str,
        found: Untrusted,
    },
    #[error("it is {0} bytes long; at most {MAX_LENGTH} are allowed")]
    TooLong(usize),
    #[error("at character {0}: more than {MAX_DEPTH} parentheses and `not`s within each other")]
    TooDeep(usize),
}

fn shown(found: &Untrusted) -> String {
    if found.is_empty() {
        "the end".to_owned()
    } else {
        format!("`{}`", found.escaped())
    }
}

impl Error {
    pub(super) fn unexpected(at: usize, expected: &'static str, found: &str) -> Self {
        Self::Unexpected {
            at,
            expected,
            found: found.into(),
        }
    }
}

const TEST: &str = "a label such as role=web, a pattern of names such as web-*, `not` or `(`";

/// Reads a whole selector.
pub(super) fn selector(text: &str) -> Result<Selector, Error> {
    if text.len() > MAX_LENGTH {
        return Err(Error::TooLong(text.len()));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        end: text.chars().count() + 1,
        depth: 0,
    };
    let tree = parser.any()?;
    if parser.peek().is_some() {
        return Err(parser.unexpected("`and`, `or` or the end"));
    }
    Ok(Selector::new(text.trim(), tree))
}

struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    /// The place behind the text.
    end: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|placed| &placed.token)
    }

    fn skip(&mut self, token: &Token) -> bool {
        let there = self.peek() == Some(token);
        self.next += usize::from(there);
        there
    }

    fn at(&self) -> usize {
        self.tokens
            .get(self.next)
            .map_or(self.end, |placed| placed.at)
    }

    fn unexpected(&self, expected: &'static str) -> Error {
        let found = match self.peek() {
            None => "",
            Some(Token::Open) => "(",
            Some(Token::Close) => ")",
            Some(Token::Equals) => "=",
            Some(Token::Differs) => "!=",
            Some(Token::And) => "and",
            Some(Token::Or) => "or",
            Some(Token::Not) => "not",
            Some(Token::Word(text) | Token::Quoted(text)) => text,
        };
        Error::unexpected(self.at(), expected, found)
    }

    fn any(&mut self) -> Result<Tree, Error> {
        let mut trees = vec![self.all()?];
        while self.skip(&Token::Or) {
            trees.push(self.all()?);
        }
        Ok(Tree::any(trees))
    }

    fn all(&mut self) -> Result<Tree, Error> {
        let mut trees = vec![self.one()?];
        while self.skip(&Token::And) {
            trees.push(self.one()?);
        }
        Ok(Tree::all(trees))
    }

    fn one(&mut self) -> Result<Tree, Error> {
        let at = self.at();
        if self.skip(&Token::Not) {
            let within = self.within(at, Self::one)?;
            return Ok(Tree::Not(Box::new(within)));
        }
        if self.skip(&Token::Open) {
            let within = self.within(at, Self::any)?;
            if !self.skip(&Token::Close) {
                return Err(self.unexpected("`and`, `or` or `)`"));
            }
            return Ok(within);
        }
        self.test()
    }

    fn within(
        &mut self,
        at: usize,
        read: impl FnOnce(&mut Self) -> Result<Tree, Error>,
    ) -> Result<Tree, Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::TooDeep(at));
        }
        self.depth += 1;
        let tree = read(self)?;
        self.depth -= 1;
        Ok(tree)
    }

    fn test(&mut self) -> Result<Tree, Error> {
        let Some(Token::Word(word)) = self.peek().cloned() else {
            return Err(self.unexpected(TEST));
        };
        let starred = word.contains('*');
        let compared = matches!(
            self.tokens.get(self.next + 1).map(|placed| &placed.token),
            Some(Token::Equals | Token::Differs)
        );
        if starred && compared {
            return Err(self.unexpected("a label without `*` before `=`"));
        }
        self.next += 1;
        if starred {
            return Ok(Tree::Is("name".to_owned(), Pattern::starred(&word)));
        }
        if self.skip(&Token::Equals) {
            return Ok(Tree::Is(word, self.value()?));
        }
        if self.skip(&Token::Differs) {
            return Ok(Tree::Not(Box::new(Tree::Is(word, self.value()?))));
        }
        Ok(Tree::Has(word))
    }

    fn value(&mut self) -> Result<Pattern, Error> {
        let pattern = match self.peek().cloned() {
            Some(Token::Word(word)) => Pattern::starred(&word),
            Some(Token::Quoted(text)) => Pattern::literal(text),
            _ => return Err(self.unexpected("a value (quote one with spaces or other signs)")),
        };
        self.next += 1;
        Ok(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_name_the_place_and_what_was_expected() {
        for (text, message) in [
            ("", "at character 1: expected a label"),
            ("role=", "at character 6: expected a value"),
            (
                "role=and",
                "at character 6: expected a value (quote one with spaces or other signs), found `and`",
            ),
            (
                "role=web region=eu",
                "at character 10: expected `and`, `or` or the end, found `region`",
            ),
            (
                "(role=web",
                "at character 10: expected `and`, `or` or `)`, found the end",
            ),
            (
                "role=web)",
                "at character 9: expected `and`, `or` or the end, found `)`",
            ),
            ("and x", "at character 1: expected a label"),
            ("not", "at character 4: expected a label"),
            (
                "ro*=web",
                "at character 1: expected a label without `*` before `=`, found `ro*`",
            ),
            ("a ! b", "at character 3: expected `!=`, or `not`"),
            (
                "a=\"b",
                "at character 3: expected a closing `\"` for this one",
            ),
            (
                "a, b",
                "at character 2: expected a label such as role=web (quote values with other signs), found `,`",
            ),
            (
                "ä=\u{202e}",
                "at character 3: expected a label such as role=web (quote values with other signs), found `\\u{202e}`",
            ),
            ("10.0.0.1:50051", "at character 9: expected a label"),
        ] {
            let error = selector(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }

    #[test]
    fn length_and_depth_are_limited() {
        assert_eq!(selector(&"a".repeat(1025)), Err(Error::TooLong(1025)));
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(selector(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(
            selector(&nested(MAX_DEPTH + 1)),
            Err(Error::TooDeep(MAX_DEPTH + 1))
        );
        assert!(matches!(
            selector(&"not ".repeat(200)),
            Err(Error::TooDeep(_))
        ));
    }
}
