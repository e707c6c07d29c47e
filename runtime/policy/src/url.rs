//! Addresses of the web, read strictly: one way to read each, or an error.
//!
//! A URL is brought into one form, so that the policy decides about what is sent: scheme and host in
//! small letters, the port written out, no escape that need not be one (RFC 3986, 6.2.2), an IPv4
//! address in IPv6 clothes as the IPv4 address it is. What other programs would guess at is refused:
//! an account before the host, numbers that some read as an address, `.` and `..` in the path.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest URL, in bytes.
pub(crate) const LONGEST: usize = 8 << 10;

/// How many bytes of a key tell the scheme.
const SCHEME_KEY: usize = 2;

/// An `http` or `https` URL without its fragment, which is never sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    secure: bool,
    host: Host,
    port: u16,
    /// Begins with `/`.
    path: String,
    query: Option<String>,
    key: String,
}

/// Whom a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Labels of ASCII letters, digits, `-` and `_`, in small letters.
    Name(String),
    /// An address; never IPv4 mapped into IPv6.
    Address(IpAddr),
}

impl Url {
    /// Reads a URL. The error is a sentence without its subject: `has no host`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (secure, authority, rest) = split(text)?;
        let (host, port) = authority_of(authority)?;
        let host = Host::parse(host)?;
        let port = port.map_or(Ok(default_port(secure)), port_of)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(escaped(query, is_in_query)?)),
            None => (rest, None),
        };
        let path = path_of(path)?;
        Ok(Self {
            key: key(secure, &host.to_string(), Some(port), &path),
            secure,
            host,
            port,
            path,
            query,
        })
    }

    /// What a redirect's `Location` names, seen from here (RFC 3986, 5.2).
    pub fn join(&self, location: &str) -> Result<Self, String> {
        let scheme = location
            .split_once(':')
            .is_some_and(|(scheme, _)| !scheme.is_empty() && !scheme.contains(['/', '?', '#']));
        let origin = self.origin();
        if scheme {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("{}:{location}", self.scheme()));
        }
        let end = location.find(['?', '#']).unwrap_or(location.len());
        let (path, rest) = location.split_at(end);
        if path.is_empty() && !rest.starts_with('?') {
            let query = self.query.as_deref().map(|query| format!("?{query}"));
            return Self::parse(&format!(
                "{origin}{}{}",
                self.path,
                query.unwrap_or_default()
            ));
        }
        let folder = self.path.rfind('/').map_or("", |slash| &self.path[..slash]);
        let path = match path {
            "" => self.path.clone(),
            absolute if absolute.starts_with('/') => without_dots(absolute),
            relative => without_dots(&format!("{folder}/{relative}")),
        };
        Self::parse(&format!("{origin}{path}{rest}"))
    }

    /// Whether it is `https`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Whom it names.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, which is the scheme's where none is written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port, without a port that is the scheme's: what a `Host` header says.
    pub fn authority(&self) -> String {
        if self.port == default_port(self.secure) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Scheme, host and port: `https://api.example.org`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }

    /// The path, which begins with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Path and query, as a request line has them.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The URL without its query, which is nobody's grant and may hold what is not for a log.
    pub fn subject(&self) -> String {
        format!("{}{}", self.origin(), self.path)
    }

    /// What the patterns that may cover it are found by.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The key from the host on, which stands backwards.
    pub(crate) fn host_key(&self) -> &str {
        &self.key[SCHEME_KEY..]
    }
}

impl Host {
    /// Reads a name or an address as a URL has it, an IPv6 address in brackets.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(inner) = text.strip_prefix('[') {
            let address = inner
                .strip_suffix(']')
                .and_then(|inner| inner.parse::<Ipv6Addr>().ok())
                .ok_or_else(|| "has brackets around what is no IPv6 address".to_owned())?;
            return Ok(Self::Address(address.to_canonical()));
        }
        let name = name(text)?;
        let last = name.rsplit('.').next().unwrap_or_default();
        let hexadecimal = last.strip_prefix("0x");
        let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
            || hexadecimal.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if !numeric {
            return Ok(Self::Name(name));
        }
        // Of the many ways to write an IPv4 address, only the one that everybody reads alike.
        match name.parse::<Ipv4Addr>() {
            Ok(address) => Ok(Self::Address(address.into())),
            Err(_) => Err(format!(
                "has the host `{name}`, which some programs read as an address; write four \
                 decimal numbers, such as 192.0.2.1"
            )),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.origin(), self.path_and_query())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(formatter),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

/// What URLs and their patterns are found by: the host backwards, so that all hosts of a domain begin
/// alike. Without a port it ends before one.
pub(crate) fn key(secure: bool, host: &str, port: Option<u16>, path: &str) -> String {
    let mut key = String::with_capacity(host.len() + path.len() + 8);
    key.push_str(if secure { "s:" } else { "p:" });
    key.extend(host.chars().rev());
    if let Some(port) = port {
        write!(key, "|{port}{path}").expect("writing to a string does not fail");
    }
    key
}

/// Whether it is `https`; what stands between `://` and the path; the path and what follows.
pub(crate) fn split(text: &str) -> Result<(bool, &str, &str), String> {
    if text.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    if text.contains(|character: char| character.is_control() || character == ' ') {
        return Err("holds a control character or a space; write them as %XX".to_owned());
    }
    let http = || "is not a URL; it begins with `https://` or `http://`".to_owned();
    let (scheme, rest) = text.split_once("://").ok_or_else(http)?;
    let secure = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => true,
        _ if scheme.eq_ignore_ascii_case("http") => false,
        _ => return Err(http()),
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if authority.contains('@') {
        return Err("names an account before the host; send an `Authorization` header".to_owned());
    }
    Ok((secure, authority, rest))
}

/// Host and port, neither read yet.
pub(crate) fn authority_of(authority: &str) -> Result<(&str, Option<&str>), String> {
    let behind = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority[behind..].find(':') {
        Some(colon) => {
            let at = behind + colon;
            (&authority[..at], Some(&authority[at + 1..]))
        }
        None => (authority, None),
    };
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    Ok((host, port))
}

pub(crate) fn port_of(text: &str) -> Result<u16, String> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| format!("has the port `{text}`, which is no number from 1 to 65535"))
}

pub(crate) fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// A name of labels, in small letters.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !text.bytes().all(fine) {
        return Err(format!(
            "has the host `{text}`; a name is made of ASCII letters, digits, `-` and `.` (others \
             are written as xn--…)"
        ));
    }
    let long = |label: &str| label.is_empty() || label.len() > 63;
    if text.is_empty() || text.len() > 253 || text.split('.').any(long) {
        return Err(format!(
            "has the host `{text}`, which is no name: it has an empty or too long part"
        ));
    }
    Ok(text.to_ascii_lowercase())
}

/// A path in its one form. Servers undo escapes, some of them twice, before they look for `..`; so none
/// may come out however often they are undone.
fn path_of(path: &str) -> Result<String, String> {
    let path = if path.is_empty() { "/" } else { path };
    let path = escaped(path, is_in_path)?;
    let mut undone = Cow::Borrowed(path.as_bytes());
    loop {
        let dots = |part: &[u8]| part == b"." || part == b"..";
        if undone.split(|byte| b"/\\".contains(byte)).any(dots) {
            return Err("has `.` or `..` in its path; write the path they lead to".to_owned());
        }
        if undone.contains(&0) {
            return Err("holds an escaped NUL byte".to_owned());
        }
        match unescaped(&undone) {
            Some(further) => undone = Cow::Owned(further),
            None => return Ok(path),
        }
    }
}

/// The bytes with one layer of escapes undone; none when there is none.
fn unescaped(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if let Some(byte) = escape_at(bytes, at) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    (out.len() < bytes.len()).then_some(out)
}

fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = bytes.get(at..at + 3)? else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Escapes what must be, and nothing that need not be. An error for a backslash, which some read as a
/// slash, and for a `%` that is no escape.
pub(crate) fn escaped(text: &str, plain: fn(u8) -> bool) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        let byte = match byte {
            b'\\' => return Err("holds a backslash; write %5C for one".to_owned()),
            b'%' => {
                let Some(byte) = escape_at(bytes, at - 1) else {
                    return Err("holds a `%` that is no escape; write %25 for one".to_owned());
                };
                at += 2;
                if is_unreserved(byte) {
                    out.push(char::from(byte));
                    continue;
                }
                byte
            }
            byte if plain(byte) => {
                out.push(char::from(byte));
                continue;
            }
            byte => byte,
        };
        write!(out, "%{byte:02X}").expect("writing to a string does not fail");
    }
    Ok(out)
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// RFC 3986, 3.3: `pchar` and the slash.
pub(crate) fn is_in_path(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte)
}

/// RFC 3986, 3.4.
fn is_in_query(byte: u8) -> bool {
    is_in_path(byte) || byte == b'?'
}

/// RFC 3986, 5.2.4.
fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let mut names = path.split('/').skip(1).peekable();
    while let Some(name) = names.next() {
        match name {
            "." | ".." => {
                if name == ".." {
                    parts.pop();
                }
                if names.peek().is_none() {
                    parts.push("");
                }
            }
            name => parts.push(name),
        }
    }
    parts.iter().flat_map(|part| ["/", part]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_where_the_standard_says() {
        let base = Url::parse("http://a/b/c/d?q").unwrap();
        for (location, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d?y"),
            ("g?y#s", "http://a/b/c/g?y"),
            ("", "http://a/b/c/d?q"),
            ("#s", "http://a/b/c/d?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("/./g/../h", "http://a/h"),
            ("HTTPS://G:443/x", "https://g/x"),
            ("a?b=c:d", "http://a/b/c/a?b=c:d"),
        ] {
            let led = base.join(location).map(|url| url.to_string());
            assert_eq!(led.as_deref(), Ok(expected), "{location}");
        }
        for location in ["javascript:alert(1)", "file:///etc/passwd", "//u@h/", "a b"] {
            assert!(base.join(location).is_err(), "{location}");
        }
    }
}
