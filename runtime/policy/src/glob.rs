//! Path globs: which absolute paths a line of a policy covers.
//!
//! A glob is matched component by component. Inside one component `*` stands for any characters, `?`
//! for one and `[…]` for one of several; none of them stands for `/`, and all of them stand for a
//! leading dot too. `**` as a whole component stands for any number of components including none, so
//! `/srv/site/**` covers `/srv/site` itself and all beneath. A backslash makes the next character
//! stand for itself.

use std::fmt;

use crate::wildcard::{Piece, Wildcard, pieces};

/// A compiled path glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    segments: Box<[Segment]>,
    /// Every match begins with this text. With `tail` it turns most paths away by one comparison.
    head: Box<str>,
    /// Every match ends with this text.
    tail: Box<str>,
    /// How many segments at the start are literal, and how long they are with their slashes: since
    /// every match begins with `head`, matching begins behind them.
    literals: (usize, usize),
    source: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Pattern(Wildcard),
    /// `**`.
    Any,
}

impl Glob {
    /// Compiles a glob. It must be absolute or begin with `**/`, and have no empty, `.` or `..`
    /// component.
    ///
    /// The error is a sentence without its subject, such as `is not absolute; begin it with …`.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::compile(&pieces(text)?, text)
    }

    pub(crate) fn compile(pieces: &[Piece], source: &str) -> Result<Self, String> {
        let mut components: Vec<&[Piece]> = pieces.split(|piece| piece.character == '/').collect();
        let from_root = components.len() > 1 && components[0].is_empty();
        if from_root {
            components.remove(0);
        }
        if !(from_root || components.len() > 1 && is_any(components[0])) {
            return Err(
                "is not absolute; begin it with `/`, or with `**/` for any folder".to_owned(),
            );
        }
        if from_root && components.len() == 1 && components[0].is_empty() {
            components.clear();
        }
        let mut segments = Vec::with_capacity(components.len());
        for component in components {
            let segment = segment(component)?;
            // Two `**` in a row say no more than one.
            if segment != Segment::Any || segments.last() != Some(&Segment::Any) {
                segments.push(segment);
            }
        }
        let (head, tail) = (head(&segments).into(), tail(&segments).into());
        let literals = segments
            .iter()
            .map_while(Segment::literal)
            .map(|name| name.len() + 1);
        Ok(Self {
            literals: (literals.clone().count(), literals.sum()),
            segments: segments.into(),
            head,
            tail,
            source: source.into(),
        })
    }

    /// Whether the glob covers `path`, an absolute path without empty, `.` or `..` components.
    /// Allocates nothing.
    pub fn matches(&self, path: &str) -> bool {
        // Most paths end differently, and the last byte tells.
        let (text, tail) = (path.as_bytes(), self.tail.as_bytes());
        if !(tail.is_empty() || text.last() == tail.last() && text.ends_with(tail)) {
            return false;
        }
        if text.first() != Some(&b'/') || !path.starts_with(&*self.head) {
            return false;
        }
        let (mut segment, behind) = self.literals;
        // The text goes on as the last literal component does: `/srv/a` is no start of `/srv/ab`.
        let mut walk = match path.as_bytes().get(behind) {
            None | Some(b'/') => Walk::of(&path[behind..]),
            Some(_) => return false,
        };
        let mut retry: Option<(usize, Walk<'_>)> = None;
        // As in `Wildcard::matches`, only the last `**` is ever retried.
        loop {
            match self.segments.get(segment) {
                None if walk.is_done() => return true,
                Some(Segment::Any) => {
                    segment += 1;
                    if segment == self.segments.len() {
                        return true;
                    }
                    retry = Some((segment, walk.clone()));
                    continue;
                }
                Some(one) => {
                    let mut ahead = walk.clone();
                    if ahead.next().is_some_and(|component| one.holds(component)) {
                        walk = ahead;
                        segment += 1;
                        continue;
                    }
                }
                None => {}
            }
            let Some((after, mut from)) = retry else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            segment = after;
            walk = from.clone();
            retry = Some((after, from));
        }
    }

    /// Whether the glob may cover `folder` or anything beneath it. Says yes in doubt.
    pub fn may_match_beneath(&self, folder: &str) -> bool {
        let mut segments = self.segments.iter();
        for component in Walk::of(folder) {
            match segments.next() {
                Some(Segment::Any) => return true,
                Some(segment) if segment.holds(component) => {}
                None | Some(_) => return false,
            }
        }
        true
    }

    /// The folder, when the glob is a folder with all beneath it: `/srv/site` for `/srv/site/**`.
    pub fn tree(&self) -> Option<String> {
        let (last, folder) = self.segments.split_last()?;
        if *last == Segment::Any {
            literal(folder)
        } else {
            None
        }
    }

    /// The path, when the glob covers exactly one.
    pub fn literal(&self) -> Option<String> {
        literal(&self.segments)
    }

    /// The longest run of literal components it begins with, unescaped: where a search for its
    /// matches starts. `/srv/site` for `/srv/site/*.html`, `/` for `**/*.key`, the path itself for a
    /// glob without wildcards.
    pub fn static_prefix(&self) -> String {
        let literals = self
            .segments
            .iter()
            .take_while(|segment| matches!(segment, Segment::Literal(_)))
            .count();
        literal(&self.segments[..literals]).expect("only literal segments were taken")
    }

    /// The glob as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The literal text that every match begins with.
    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// Whether it covers a folder of the root that is not named, with all beneath: `/**`, `/*/**`.
    pub(crate) fn covers_everything(&self) -> bool {
        let open = !matches!(self.segments.first(), None | Some(Segment::Literal(_)));
        let deep = self.segments.contains(&Segment::Any);
        let unnamed = self.segments.iter().skip(1).all(|segment| match segment {
            Segment::Any => true,
            Segment::Pattern(wildcard) => wildcard.is_open(),
            Segment::Literal(_) => false,
        });
        open && deep && unnamed
    }

    /// Whether the last component may be `name`.
    pub(crate) fn may_be_named(&self, name: &str) -> bool {
        match self.segments.last() {
            None => false,
            Some(Segment::Any) => true,
            Some(segment) => segment.holds(name),
        }
    }

    /// The literal component at `index`.
    pub(crate) fn component(&self, index: usize) -> Option<&str> {
        match self.segments.get(index) {
            Some(Segment::Literal(name)) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.source)
    }
}

impl Segment {
    fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(name) => Some(name),
            Self::Pattern(_) | Self::Any => None,
        }
    }

    fn holds(&self, component: &str) -> bool {
        match self {
            Self::Literal(own) => **own == *component,
            Self::Pattern(wildcard) => wildcard.matches(component),
            Self::Any => true,
        }
    }
}

/// The components of an absolute path, from a place in it. A clone remembers a place.
#[derive(Clone)]
struct Walk<'a> {
    rest: Option<&'a str>,
}

impl<'a> Walk<'a> {
    fn of(path: &'a str) -> Self {
        let rest = path.strip_prefix('/').unwrap_or(path);
        Self {
            rest: (!rest.is_empty()).then_some(rest),
        }
    }

    fn is_done(&self) -> bool {
        self.rest.is_none()
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        // Components are short: searching byte by byte costs less than setting up a search.
        let Some(end) = rest.bytes().position(|byte| byte == b'/') else {
            self.rest = None;
            return Some(rest);
        };
        self.rest = Some(&rest[end + 1..]);
        Some(&rest[..end])
    }
}

/// Writes a path as the glob that covers exactly it.
pub fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for character in path.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// [`Glob::static_prefix`] of a glob in text; `/` for what is not a glob, where every search for a
/// match would have to begin.
pub fn static_prefix(glob: &str) -> String {
    Glob::parse(glob).map_or_else(|_| "/".to_owned(), |glob| glob.static_prefix())
}

/// Whether a path is what decisions are made about: absolute, with no empty, `.` or `..` component
/// and no NUL byte. Anything else might name another place than it spells.
pub fn is_normal(path: &str) -> bool {
    let Some(rest) = path.as_bytes().strip_prefix(b"/") else {
        return false;
    };
    // One pass over bytes, because every decision about a path begins here.
    let (mut length, mut dots) = (0, 0);
    for &byte in rest {
        match byte {
            0 => return false,
            b'/' if length == dots && length <= 2 => return false,
            b'/' => (length, dots) = (0, 0),
            _ => {
                length += 1;
                dots += usize::from(byte == b'.');
            }
        }
    }
    rest.is_empty() || length != dots || length > 2
}

fn is_any(component: &[Piece]) -> bool {
    matches!(component, [first, second]
        if [first, second].iter().all(|piece| piece.character == '*' && !piece.literal))
}

fn segment(component: &[Piece]) -> Result<Segment, String> {
    if is_any(component) {
        return Ok(Segment::Any);
    }
    let wildcard = Wildcard::compile(component)?;
    match wildcard.literal() {
        None => Ok(Segment::Pattern(wildcard)),
        Some(name) => match name.as_str() {
            "" => Err(
                "has an empty component; write one `/` between names and none at the end, \
                       and `/**` for all beneath a folder"
                    .to_owned(),
            ),
            "." | ".." => Err(format!(
                "has the component `{name}`; write the path without it"
            )),
            _ => Ok(Segment::Literal(name.into())),
        },
    }
}

fn literal(segments: &[Segment]) -> Option<String> {
    if segments.is_empty() {
        return Some("/".to_owned());
    }
    let mut path = String::new();
    for segment in segments {
        let Segment::Literal(name) = segment else {
            return None;
        };
        path.push('/');
        path.push_str(name);
    }
    Some(path)
}

fn head(segments: &[Segment]) -> String {
    let mut head = String::new();
    for segment in segments {
        match segment {
            Segment::Literal(name) => {
                head.push('/');
                head.push_str(name);
            }
            Segment::Pattern(wildcard) => {
                head.push('/');
                head.push_str(&wildcard.head());
                break;
            }
            Segment::Any => break,
        }
    }
    head
}

fn tail(segments: &[Segment]) -> String {
    match segments.last() {
        Some(Segment::Literal(name)) => name.to_string(),
        Some(Segment::Pattern(wildcard)) => wildcard.tail(),
        Some(Segment::Any) | None => String::new(),
    }
}
