//! Where a master is.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::error::Error;

/// The port that masters listen on if nothing else is said.
pub const PORT: u16 = 50053;

/// A host and a port: `fleet.example.com:50053`, `10.0.0.1`, `[::1]:50053`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// From 1.
    pub port: u16,
}

impl Address {
    /// The one on this machine.
    pub fn here() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: PORT,
        }
    }

    /// Whether nobody but this machine is reached.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(address) => write!(formatter, "[{address}]:{}", self.port),
            Err(_) => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| {
            let shown: String = text.chars().take(80).collect();
            Error::Address(format!(
                "`{}` is no address of a master ({why}); write it as HOST:PORT, for example fleet.example.com:{PORT}",
                shown.escape_debug()
            ))
        };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest
                    .split_once(']')
                    .ok_or_else(|| wrong("its ] is missing"))?;
                let port = match rest.strip_prefix(':') {
                    Some(port) => Some(port),
                    None if rest.is_empty() => None,
                    None => return Err(wrong("something else than a port follows the ]")),
                };
                host.parse::<Ipv6Addr>()
                    .map_err(|_| wrong("between [ and ] stands an IPv6 address"))?;
                (host, port)
            }
            None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let letter = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
        if host.is_empty() || host.len() > 253 || !host.chars().all(letter) {
            return Err(wrong("it has no host"));
        }
        let port = match port {
            None => PORT,
            Some(port) if port.bytes().all(|digit| digit.is_ascii_digit()) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| wrong("the port is a number from 1 to 65535"))?,
            Some(_) => return Err(wrong("the port is a number from 1 to 65535")),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_perhaps_a_port() {
        for (text, told) in [
            ("fleet.example.com:1", "fleet.example.com:1"),
            ("10.0.0.1", "10.0.0.1:50053"),
            ("[::1]:7", "[::1]:7"),
            ("[::1]", "[::1]:50053"),
            ("::1", "[::1]:50053"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), told);
        }
        for text in [
            "",
            ":1",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:1:2",
            "http://a:1",
            "a b:1",
            "[::1",
            "[a]:1",
            "[::1]x",
            "a/b",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert!("localhost".parse::<Address>().unwrap().is_loopback());
        assert!(
            !"localhost.example.com"
                .parse::<Address>()
                .unwrap()
                .is_loopback()
        );
    }
}
