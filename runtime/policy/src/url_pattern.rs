//! URL patterns: which requests a line of a policy covers.
//!
//! `scheme://host[:port][/path]`. The host is a name, `*.domain` for all names beneath a domain, an
//! address, or `*` for any. Without a port it is the scheme's; `*` is any. Without a path every path is
//! covered; in one, `*` stands for any characters but `/`, `**` for any at all, and a final `/**` for
//! the folder too. A backslash makes the next character stand for itself. Queries are not looked at.

use crate::url::{self, Host, Url};
use crate::wildcard::{Piece, pieces};

/// A compiled URL pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPattern {
    secure: bool,
    host: Hosts,
    /// None is any.
    port: Option<u16>,
    /// None is any.
    path: Option<Box<[Token]>>,
}

/// Hosts by name or address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    Any,
    /// All names beneath a domain, which is kept with its leading dot.
    Beneath(Box<str>),
    One(Host),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// Any bytes but slashes.
    Star,
    /// Any bytes.
    Many,
}

impl UrlPattern {
    /// Compiles a pattern. The error is a sentence without its subject: `has no host`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains(['?', '#']) {
            return Err(
                "holds a query or a fragment; a grant of the path holds for all".to_owned(),
            );
        }
        // A backslash has its meaning in the path, which begins with the first slash behind the host.
        let host_end = text.find("://").map_or(text.len(), |colon| {
            let host = colon + 3;
            text[host..]
                .find('/')
                .map_or(text.len(), |slash| host + slash)
        });
        let (secure, authority, rest) = url::split(&text[..host_end])?;
        if !rest.is_empty() {
            return Err("holds a backslash before its path".to_owned());
        }
        let (host, port) = url::authority_of(authority)?;
        let port = match port {
            Some("*") => None,
            Some(port) => Some(url::port_of(port)?),
            None => Some(url::default_port(secure)),
        };
        let path = &text[host_end..];
        Ok(Self {
            secure,
            host: Hosts::parse(host)?,
            port,
            path: (!path.is_empty()).then(|| tokens(path)).transpose()?,
        })
    }

    /// Whether a request to the URL is covered. Allocates nothing.
    pub fn matches(&self, url: &Url) -> bool {
        self.secure == url.is_secure()
            && self.port.is_none_or(|port| port == url.port())
            && self.host.holds(url.host())
            && self
                .path
                .as_deref()
                .is_none_or(|path| fits(path, url.path().as_bytes()))
    }

    /// What the keys of all URLs it covers begin with.
    pub(crate) fn head(&self) -> String {
        let (host, whole) = self.host.head();
        let mut literal = String::new();
        if whole {
            let tokens = self.path.as_deref().unwrap_or_default();
            // A final `/**` covers what has not even the slash.
            let end = tokens.len() - if ends_in_tree(tokens) { 2 } else { 0 };
            literal.extend(tokens[..end].iter().map_while(|token| match token {
                Token::Byte(byte) => Some(char::from(*byte)),
                Token::Star | Token::Many => None,
            }));
        }
        url::key(self.secure, &host, self.port.filter(|_| whole), &literal)
    }

    /// Whether a request may be covered by both. Says yes in doubt.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let ports = (self.port, other.port);
        self.secure == other.secure
            && (ports.0.is_none() || ports.1.is_none() || ports.0 == ports.1)
            && self.host.meets(&other.host)
            && match (&self.path, &other.path) {
                (Some(own), Some(others)) => paths_meet(own, others),
                _ => true,
            }
    }

    /// Whether any host is covered.
    pub(crate) fn is_any_host(&self) -> bool {
        self.host == Hosts::Any
    }
}

impl Hosts {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(domain) = text.strip_prefix("*.") {
            return match Host::parse(domain)? {
                Host::Name(name) => Ok(Self::Beneath(format!(".{name}").into())),
                Host::Address(_) => Err("has `*.` before an address".to_owned()),
            };
        }
        if text.contains('*') {
            return Err(format!(
                "has the host `{text}`; a `*` is the whole host or stands for names before a domain"
            ));
        }
        Host::parse(text).map(Self::One)
    }

    pub(crate) fn holds(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Beneath(domain), Host::Name(name)) => {
                name.len() > domain.len() && name.ends_with(&**domain)
            }
            (Self::Beneath(_), Host::Address(_)) => false,
            (Self::One(own), host) => own == host,
        }
    }

    pub(crate) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(host), hosts) | (hosts, Self::One(host)) => hosts.holds(host),
            (Self::Beneath(own), Self::Beneath(others)) => {
                own.ends_with(&**others) || others.ends_with(&**own)
            }
            (Self::Any, _) | (_, Self::Any) => true,
        }
    }

    /// What all its hosts end with, and whether that is the whole host.
    pub(crate) fn head(&self) -> (String, bool) {
        match self {
            Self::Any => (String::new(), false),
            Self::Beneath(domain) => (domain.to_string(), false),
            Self::One(host) => (host.to_string(), true),
        }
    }
}

/// Writes a URL as a pattern that covers it and no other but for its query.
pub(crate) fn escape(url: &Url) -> String {
    // Nothing else of a URL's one form means anything in a pattern.
    format!("{}{}", url.origin(), url.path().replace('*', "\\*"))
}

fn tokens(path: &str) -> Result<Box<[Token]>, String> {
    let pieces = pieces(path)?;
    let mut tokens = Vec::with_capacity(path.len());
    let mut rest = &pieces[..];
    while let Some((first, after)) = rest.split_first() {
        if first.character == '*' && !first.literal {
            let many = is_star(after.first());
            rest = if many { &after[1..] } else { after };
            if is_star(rest.first()) {
                return Err("holds `***`".to_owned());
            }
            tokens.push(if many { Token::Many } else { Token::Star });
            continue;
        }
        let end = rest.iter().position(|piece| is_star(Some(piece)));
        let (literal, after) = rest.split_at(end.unwrap_or(rest.len()));
        let text: String = literal.iter().map(|piece| piece.character).collect();
        if text.contains(|character: char| character.is_control() || character == ' ') {
            return Err("holds a control character or a space; write them as %XX".to_owned());
        }
        let text = url::escaped(&text, url::is_in_path)?;
        tokens.extend(text.bytes().map(Token::Byte));
        rest = after;
    }
    let bytes: Vec<u8> = tokens
        .iter()
        .map(|token| {
            if let Token::Byte(byte) = token {
                *byte
            } else {
                b'*'
            }
        })
        .collect();
    let dots = |part: &[u8]| part == b"." || part == b"..";
    if bytes.split(|byte| *byte == b'/').any(dots) {
        return Err("has `.` or `..` in its path, which no request has".to_owned());
    }
    Ok(tokens.into())
}

/// Whether a path may fit both: exactly, where one holds no wildcard, else by what both begin with.
fn paths_meet(own: &[Token], others: &[Token]) -> bool {
    let literal = |tokens: &[Token]| -> Vec<u8> {
        let bytes = tokens.iter().map_while(|token| match token {
            Token::Byte(byte) => Some(*byte),
            Token::Star | Token::Many => None,
        });
        bytes.collect()
    };
    let (left, right) = (literal(own), literal(others));
    if left.len() == own.len() {
        fits(others, &left)
    } else if right.len() == others.len() {
        fits(own, &right)
    } else {
        // A final `/**` covers the folder too, which has not even the slash.
        let folder = |path: &[u8]| path.strip_suffix(b"/").unwrap_or(path).to_vec();
        let (left, right) = (folder(&left), folder(&right));
        left.starts_with(&right) || right.starts_with(&left)
    }
}

fn is_star(piece: Option<&Piece>) -> bool {
    piece.is_some_and(|piece| piece.character == '*' && !piece.literal)
}

fn ends_in_tree(tokens: &[Token]) -> bool {
    tokens.len() > 2 && tokens.ends_with(&[Token::Byte(b'/'), Token::Many])
}

fn fits(tokens: &[Token], path: &[u8]) -> bool {
    walk(tokens, path) || (ends_in_tree(tokens) && walk(&tokens[..tokens.len() - 2], path))
}

/// Only the last `**` and the last `*` behind it are ever retried: a `*` ends at a slash, so what
/// an earlier one could do differently a later one can do too, or none.
fn walk(tokens: &[Token], path: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut many: Option<(usize, usize)> = None;
    loop {
        match (tokens.get(token), path.get(at)) {
            (None, None) => return true,
            (Some(Token::Many), _) => {
                token += 1;
                many = Some((token, at));
                star = None;
                continue;
            }
            (Some(Token::Star), _) => {
                token += 1;
                star = Some((token, at));
                continue;
            }
            (Some(Token::Byte(own)), Some(byte)) if own == byte => {
                token += 1;
                at += 1;
                continue;
            }
            _ => {}
        }
        if let Some((after, from)) = star
            && path.get(from).is_some_and(|byte| *byte != b'/')
        {
            (token, at) = (after, from + 1);
            star = Some((after, from + 1));
        } else if let Some((after, from)) = many
            && from < path.len()
        {
            (token, at) = (after, from + 1);
            many = Some((after, from + 1));
            star = None;
        } else {
            return false;
        }
    }
}
