//! Words and signs of a selector, each with its place.

use std::iter::Peekable;
use std::str::Chars;

use super::parse::Error;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    Equals,
    Differs,
    And,
    Or,
    Not,
    /// A bare word, in which `*` stands for any characters.
    Word(String),
    /// What stood in double quotes.
    Quoted(String),
}

/// A token and the character it begins at, counted from 1.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

/// Takes a selector apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Error> {
    let mut reader = Reader {
        rest: text.chars().peekable(),
        at: 1,
    };
    let mut tokens = Vec::new();
    while let Some(next) = reader.next()? {
        tokens.push(next);
    }
    Ok(tokens)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    /// The place of the character that comes next.
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<char> {
        self.at += 1;
        self.rest.next()
    }

    fn next(&mut self) -> Result<Option<Placed>, Error> {
        while self.rest.next_if(char::is_ascii_whitespace).is_some() {
            self.at += 1;
        }
        let at = self.at;
        let token = match self.rest.peek().copied() {
            None => return Ok(None),
            Some('(') => self.sign(Token::Open),
            Some(')') => self.sign(Token::Close),
            Some('=') => {
                self.take();
                // `==` is how others spell it.
                if self.rest.next_if_eq(&'=').is_some() {
                    self.at += 1;
                }
                Token::Equals
            }
            Some('!') => {
                self.take();
                if self.take() != Some('=') {
                    return Err(Error::unexpected(
                        at,
                        "`!=`, or `not` before what shall not hold",
                        "!",
                    ));
                }
                Token::Differs
            }
            Some('"') => self.quoted()?,
            Some(next) if is_bare(next) => self.word(),
            Some(next) => {
                return Err(Error::unexpected(
                    at,
                    "a label such as role=web (quote values with other signs)",
                    &next.to_string(),
                ));
            }
        };
        Ok(Some(Placed { token, at }))
    }

    fn sign(&mut self, token: Token) -> Token {
        self.take();
        token
    }

    fn word(&mut self) -> Token {
        let mut word = String::new();
        while let Some(next) = self.rest.next_if(|next| is_bare(*next)) {
            self.at += 1;
            word.push(next);
        }
        match word.as_str() {
            "and" => Token::And,
            "or" => Token::Or,
            "not" => Token::Not,
            _ => Token::Word(word),
        }
    }

    fn quoted(&mut self) -> Result<Token, Error> {
        let began = self.at;
        self.take();
        let mut text = String::new();
        loop {
            match self.take() {
                Some('"') => return Ok(Token::Quoted(text)),
                Some('\\') => text.extend(self.take()),
                Some(next) => text.push(next),
                None => return Err(Error::unexpected(began, "a closing `\"` for this one", "")),
            }
        }
    }
}

/// What names, labels and facts are made of, and the star.
fn is_bare(character: char) -> bool {
    character.is_alphanumeric() || "-_.@/+~*".contains(character)
}
