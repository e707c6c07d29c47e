//! `*`, `?` and `[…]` against one piece of text: one path component, one argument, one name.

/// One character of a pattern after quotes and backslashes are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) character: char,
    /// It was quoted or escaped, so that it stands for itself.
    pub(crate) literal: bool,
}

/// A compiled pattern for one piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wildcard {
    tokens: Box<[Token]>,
    shape: Shape,
}

/// Most patterns are one of these, and told apart by comparing text with text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// No wildcard.
    Exact(Box<str>),
    /// One `*` between two texts.
    Between(Box<str>, Box<str>),
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(char),
    One,
    Many,
    Class {
        negated: bool,
        ranges: Box<[(char, char)]>,
    },
}

impl Wildcard {
    /// Compiles pieces. Errors are sentences without a subject: ``has a `[` without its `]` ``.
    pub(crate) fn compile(pieces: &[Piece]) -> Result<Self, String> {
        let mut tokens = Vec::with_capacity(pieces.len());
        let mut rest = pieces;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match (first.character, first.literal) {
                ('*', false) if tokens.last() == Some(&Token::Many) => {
                    return Err("holds `**`, which must stand alone".to_owned());
                }
                ('*', false) => tokens.push(Token::Many),
                ('?', false) => tokens.push(Token::One),
                ('[', false) => {
                    let (class, after) = class(rest)?;
                    tokens.push(class);
                    rest = after;
                }
                (character, _) => tokens.push(Token::Literal(character)),
            }
        }
        Ok(Self {
            shape: Shape::of(&tokens),
            tokens: tokens.into(),
        })
    }

    /// Compiles text in which a backslash makes the next character stand for itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::compile(&pieces(text)?)
    }

    /// Whether all of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        match &self.shape {
            Shape::Exact(own) => **own == *text,
            Shape::Between(start, end) => {
                text.len() >= start.len() + end.len()
                    && (start.is_empty() || text.starts_with(&**start))
                    && (end.is_empty() || text.ends_with(&**end))
            }
            Shape::Other => self.tokens_match(text),
        }
    }

    /// Time is at most the product of both lengths: only the last `*` is ever retried, because what
    /// an earlier one could do differently a later one can do too.
    fn tokens_match(&self, text: &str) -> bool {
        let mut token = 0;
        let mut at = 0;
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match self.tokens.get(token) {
                None if at == text.len() => return true,
                Some(Token::Many) => {
                    token += 1;
                    if token == self.tokens.len() {
                        return true;
                    }
                    retry = Some((token, at));
                    continue;
                }
                Some(one) => {
                    if let Some(character) = text[at..].chars().next()
                        && one.holds(character)
                    {
                        token += 1;
                        at += character.len_utf8();
                        continue;
                    }
                }
                None => {}
            }
            let Some((after, from)) = retry else {
                return false;
            };
            let Some(skipped) = text[from..].chars().next() else {
                return false;
            };
            token = after;
            at = from + skipped.len_utf8();
            retry = Some((after, at));
        }
    }

    /// The text, when it holds no wildcard.
    pub(crate) fn literal(&self) -> Option<String> {
        let head = self.head();
        (head.chars().count() == self.tokens.len()).then_some(head)
    }

    /// The literal characters it begins with.
    pub(crate) fn head(&self) -> String {
        self.tokens.iter().map_while(Token::literal).collect()
    }

    /// The literal characters it ends with.
    pub(crate) fn tail(&self) -> String {
        let mut tail: Vec<char> = self.tokens.iter().rev().map_while(Token::literal).collect();
        tail.reverse();
        tail.into_iter().collect()
    }

    /// Whether the pattern holds as good as nothing back: what does not fit is left out for a few characters alone.
    pub(crate) fn is_open(&self) -> bool {
        self.tokens.contains(&Token::Many)
            && self.tokens.iter().all(|token| match token {
                Token::Many | Token::One => true,
                Token::Class { negated, ranges } => *negated || is_wide(ranges),
                Token::Literal(_) => false,
            })
    }

    /// Whether the first character may be one of many.
    pub(crate) fn begins_open(&self) -> bool {
        self.tokens
            .first()
            .is_some_and(|token| token.literal().is_none())
    }
}

impl Shape {
    fn of(tokens: &[Token]) -> Self {
        let text = |tokens: &[Token]| {
            tokens
                .iter()
                .map(Token::literal)
                .collect::<Option<String>>()
        };
        let many = tokens.iter().position(|token| *token == Token::Many);
        let between = |at| Some((text(&tokens[..at])?, text(&tokens[at + 1..])?));
        match (text(tokens), many.and_then(between)) {
            (Some(own), _) => Self::Exact(own.into()),
            (None, Some((start, end))) => Self::Between(start.into(), end.into()),
            (None, None) => Self::Other,
        }
    }
}

/// Whether a class holds more than half of what names are made of: small letters and digits.
fn is_wide(ranges: &[(char, char)]) -> bool {
    let held = |character: &char| {
        ranges
            .iter()
            .any(|(low, high)| (low..=high).contains(&character))
    };
    ('a'..='z').chain('0'..='9').filter(held).count() > 18
}

impl Token {
    fn holds(&self, character: char) -> bool {
        match self {
            Self::Literal(own) => *own == character,
            Self::One | Self::Many => true,
            Self::Class { negated, ranges } => {
                ranges
                    .iter()
                    .any(|&(low, high)| (low..=high).contains(&character))
                    != *negated
            }
        }
    }

    fn literal(&self) -> Option<char> {
        if let Self::Literal(character) = self {
            Some(*character)
        } else {
            None
        }
    }
}

/// Takes backslashes away: what follows one is literal.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\0' {
            return Err("holds a NUL byte, which no path, argument or name can".to_owned());
        }
        if character != '\\' {
            pieces.push(Piece {
                character,
                literal: false,
            });
            continue;
        }
        match characters.next() {
            None => return Err("ends in a backslash; write `\\\\` for one".to_owned()),
            Some('\0') => return Err("holds a NUL byte".to_owned()),
            Some(character) => pieces.push(Piece {
                character,
                literal: true,
            }),
        }
    }
    Ok(pieces)
}

/// Reads a class up to its `]`. As in a shell, a `]` directly behind the opening is a member, and so
/// is a `-` at either end.
fn class(rest: &[Piece]) -> Result<(Token, &[Piece]), String> {
    let bare = |piece: &Piece, character| !piece.literal && piece.character == character;
    let negated = rest
        .first()
        .is_some_and(|piece| bare(piece, '!') || bare(piece, '^'));
    let mut rest = &rest[usize::from(negated)..];
    let mut ranges = Vec::new();
    loop {
        let Some((piece, after)) = rest.split_first() else {
            return Err("has a `[` without its `]`; write `\\[` for the character".to_owned());
        };
        if bare(piece, ']') && !ranges.is_empty() {
            return Ok((
                Token::Class {
                    negated,
                    ranges: ranges.into(),
                },
                after,
            ));
        }
        let low = piece.character;
        match after {
            [dash, high, beyond @ ..] if bare(dash, '-') && !bare(high, ']') => {
                if high.character < low {
                    return Err(format!(
                        "has the range `{low}-{}` backwards",
                        high.character
                    ));
                }
                ranges.push((low, high.character));
                rest = beyond;
            }
            _ => {
                ranges.push((low, low));
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Wildcard::parse(pattern)
            .expect("the pattern is well formed")
            .matches(text)
    }

    #[test]
    fn wildcards_stand_for_characters() {
        assert!(fits("a*c", "abbc"));
        assert!(fits("a*c", "ac"));
        assert!(fits("*b*b*", "abcb"));
        assert!(!fits("a*c", "acd"));
        assert!(fits("?", "é"));
        assert!(!fits("?", ""));
        assert!(fits("*", ""));
        assert!(fits("", ""));
        assert!(!fits("", "a"));
    }

    #[test]
    fn classes_hold_members_ranges_and_their_opposite() {
        assert!(fits("[a-c]x", "bx"));
        assert!(!fits("[!a-c]x", "bx"));
        assert!(fits("[^a-c]x", "dx"));
        assert!(fits("[]]", "]"));
        assert!(fits("[a-]", "-"));
        assert!(fits(r"[\]]", "]"));
        assert!(fits("[]-a]", "_"));
    }

    #[test]
    fn escaped_wildcards_stand_for_themselves() {
        assert!(fits(r"\*\?\[\\", r"*?[\"));
        assert!(!fits(r"\*", "a"));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["[a", "[", "[]", "[z-a]", "a\\", "a**", "\0", "\\\0"] {
            assert!(Wildcard::parse(pattern).is_err(), "{pattern:?}");
        }
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!fits(&pattern, &"a".repeat(5_000)));
    }
}
