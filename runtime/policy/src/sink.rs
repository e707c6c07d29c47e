//! Where a secret may go: programs by their paths, servers by scheme, name and port.

use std::fmt;

use crate::capability::Scope;
use crate::escape::toml;
use crate::glob::{Glob, is_normal};

/// One place that something may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    Program(Glob),
    Server(ServerPattern),
}

/// A server, or with `*.` before its name all whose names end so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerPattern {
    server: Server,
    beneath: bool,
}

/// Whom a request is sent to: `scheme://host[:port]`, a port that the scheme has anyway left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    secure: bool,
    host: String,
    port: u16,
}

impl Sink {
    /// Reads an entry. The error is a sentence without its subject.
    pub(crate) fn parse(scope: Scope, text: &str) -> Result<Self, String> {
        match scope {
            Scope::Programs => Glob::parse(text).map(Self::Program),
            Scope::Servers => ServerPattern::parse(text).map(Self::Server),
            _ => Err("binds nothing".to_owned()),
        }
    }

    /// Whether it is the place, or one of the places, that something is about to go to.
    pub(crate) fn takes(&self, place: &str) -> bool {
        match self {
            Self::Program(glob) => is_normal(place) && glob.matches(place),
            Self::Server(pattern) => {
                Server::parse(place).is_ok_and(|server| pattern.covers(&server))
            }
        }
    }
}

impl ServerPattern {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once("://*.") {
            Some((scheme, domain)) => Ok(Self {
                server: Server::parse(&format!("{scheme}://{domain}"))?,
                beneath: true,
            }),
            None => Ok(Self {
                server: Server::parse(text)?,
                beneath: false,
            }),
        }
    }

    fn covers(&self, server: &Server) -> bool {
        let own = &self.server;
        let same = || own.host == server.host;
        let beneath = || {
            let sub = server.host.strip_suffix(own.host.as_str());
            sub.is_some_and(|sub| sub.len() > 1 && sub.ends_with('.'))
        };
        (own.secure, own.port) == (server.secure, server.port)
            && if self.beneath { beneath() } else { same() }
    }

    /// Whether there may be a server that both cover.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let (own, others) = (&self.server, &other.server);
        (own.secure, own.port) == (others.secure, others.port)
            && match (self.beneath, other.beneath) {
                (true, true) => {
                    let beneath = |one: &str, above: &str| {
                        let rest = one.strip_suffix(above);
                        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                    };
                    beneath(&own.host, &others.host) || beneath(&others.host, &own.host)
                }
                (_, false) => self.covers(others),
                (false, true) => other.covers(own),
            }
    }

    /// Whether what is sent can be read on its way.
    pub(crate) fn in_the_clear(&self) -> bool {
        !self.server.secure
    }
}

impl Server {
    /// Reads `https://api.example.org` or `http://[::1]:8080`: a scheme, a name or address and
    /// perhaps a port, and nothing else. Capital letters of a name are made small.
    ///
    /// The error is a sentence without its subject.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (secure, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err("is no server; write https://host or https://host:port".to_owned()),
        };
        if rest.contains(['/', '?', '#', '@']) {
            return Err("names more than a server; end it behind the host or its port".to_owned());
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let port = match port {
            None => Some(if secure { 443 } else { 80 }),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port > 0)
            }
            Some(_) => None,
        };
        let port = port.ok_or("has a port that is none; write a number from 1 to 65535")?;
        let host = host.to_ascii_lowercase();
        if !is_host(&host) {
            return Err(
                "has no well-formed host; write a name of letters, digits, `-` and `.`, or an \
                 address (an IPv6 one in brackets)"
                    .to_owned(),
            );
        }
        Ok(Self { secure, host, port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.secure {
            ("https", 443)
        } else {
            ("http", 80)
        };
        write!(formatter, "{scheme}://{}", self.host)?;
        if self.port == usual {
            Ok(())
        } else {
            write!(formatter, ":{}", self.port)
        }
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// What an entry of a scope may look like.
pub(crate) const fn example(scope: Scope) -> &'static str {
    match scope {
        Scope::Servers => "https://api.example.org",
        _ => "/usr/bin/program",
    }
}

/// The table of a policy that binds a name to one place.
pub(crate) fn table(name: &str, place: &str) -> String {
    format!("{{ {} = [{}] }}", toml(name), toml(place))
}

/// A key as TOML wants it written.
pub(crate) fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        toml(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(pattern: &str, place: &str) -> bool {
        Sink::parse(Scope::Servers, pattern).unwrap().takes(place)
    }

    #[test]
    fn a_server_is_its_scheme_its_name_and_its_port() {
        assert!(takes(
            "https://api.example.org",
            "https://API.example.org:443"
        ));
        assert!(takes("http://[::1]:8080", "http://[::1]:8080"));
        for other in [
            "http://api.example.org",
            "https://api.example.org:8443",
            "https://api.example.org.evil.org",
            "https://example.org",
            "https://api.example.org/path",
            "https://user@api.example.org",
            "https://api.example.org@evil.org",
        ] {
            assert!(!takes("https://api.example.org", other), "{other}");
        }
    }

    #[test]
    fn a_star_stands_for_names_beneath_and_not_for_the_name_itself() {
        assert!(takes("https://*.example.org", "https://a.b.example.org"));
        for other in [
            "https://example.org",
            "https://.example.org",
            "https://badexample.org",
            "https://a.example.org:444",
        ] {
            assert!(!takes("https://*.example.org", other), "{other}");
        }
    }

    #[test]
    fn what_is_no_server_says_what_to_write() {
        for (text, reason) in [
            ("api.example.org", "is no server"),
            ("ftp://x", "is no server"),
            ("https://", "no well-formed host"),
            ("https://a b", "no well-formed host"),
            ("https://*", "no well-formed host"),
            ("https://a.*.b", "no well-formed host"),
            ("https://[::1", "no well-formed host"),
            ("https://x:0", "a port that is none"),
            ("https://x:+1", "a port that is none"),
            ("https://x:99999", "a port that is none"),
            ("https://x/", "names more than a server"),
        ] {
            let error = Sink::parse(Scope::Servers, text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
