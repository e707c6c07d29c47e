//! Ports: what of the network programs may use.
//!
//! `process.network` is `true`, or a list of `tcp:443` (to connect to that port of any host), `listen:8080` (to take
//! connections on that port of this node) and `udp` (datagrams). The kernel holds TCP to single ports; datagrams it
//! allows or refuses as a whole.

use std::collections::BTreeSet;
use std::fmt;

use crate::capability::Capability;
use crate::denial::{Decision, Layer};
use crate::effective::{Effective, Set};
use crate::grants::Subject;

/// One entry of `process.network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// Connecting to this port by TCP, of whatever host.
    Connect(u16),
    /// Taking TCP connections on this port.
    Listen(u16),
    /// Sending and receiving datagrams on any port, which is what looking up names takes.
    Datagrams,
}

/// What of the network the programs of a step may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Internet {
    /// All of it.
    All,
    /// These; when there are none, nothing.
    Ports(BTreeSet<Port>),
}

impl Port {
    /// Reads an entry. The error is a sentence without its subject.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "udp" {
            return Ok(Self::Datagrams);
        }
        let port = text.split_once(':').and_then(|(kind, digits)| {
            let plain =
                digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
            let port: u16 = digits.parse().ok().filter(|_| plain)?;
            match kind {
                "tcp" => Some(Self::Connect(port)),
                "listen" => Some(Self::Listen(port)),
                _ => None,
            }
        });
        port.ok_or_else(|| {
            "is no port; write `tcp:443` to connect, `listen:8080` to take connections, both from 1 to \
             65535, `udp` for datagrams, or network = true for all"
                .to_owned()
        })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(port) => write!(formatter, "tcp:{port}"),
            Self::Listen(port) => write!(formatter, "listen:{port}"),
            Self::Datagrams => formatter.write_str("udp"),
        }
    }
}

impl Set {
    fn covers_port(&self, port: Port) -> bool {
        self.flag || self.ports.contains(&port)
    }

    /// What both allow.
    fn within(&self, internet: Internet) -> Internet {
        match internet {
            all if self.flag => all,
            Internet::All => Internet::Ports(self.ports.clone()),
            Internet::Ports(ports) => Internet::Ports(&ports & &self.ports),
        }
    }
}

impl Effective {
    /// Whether `process.network` covers a port.
    pub fn port(&self, port: Port) -> Decision {
        let covers = |set: &Set| set.covers_port(port);
        self.decide(Capability::ProcessNetwork, covers, covers)
    }

    /// What of the network programs get.
    ///
    /// # Errors
    /// Everything is granted and some of it denied, by a deny line: the kernel's rules can only allow, and a rule
    /// for each of the other ports would be too many. It is refused rather than widened or silently narrowed.
    pub fn internet(&self) -> Result<Internet, Layer> {
        let capability = Capability::ProcessNetwork;
        let sources = self.declarations.iter().chain([&self.policy]);
        let granted = sources.fold(Internet::All, |internet, source| {
            source.set(capability).within(internet)
        });
        let denied = self.deny.set(capability);
        match granted {
            _ if denied.flag => Ok(Internet::Ports(BTreeSet::new())),
            Internet::All if !denied.ports.is_empty() => Err(Layer::Deny),
            Internet::All => Ok(Internet::All),
            Internet::Ports(ports) => Ok(Internet::Ports(&ports - &denied.ports)),
        }
    }
}

/// The ports that grants name.
pub(crate) fn named<'a>(subjects: impl Iterator<Item = &'a Subject>) -> BTreeSet<Port> {
    subjects
        .filter_map(|subject| match subject {
            Subject::Port(port) => Some(*port),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_and_written_alike() {
        for text in ["tcp:443", "tcp:1", "listen:65535", "udp"] {
            assert_eq!(Port::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "",
            "tcp",
            "tcp:",
            "tcp:0",
            "tcp:65536",
            "tcp:+1",
            "tcp:080",
            "tcp:*",
            "tcp:80-90",
            "tcp: 80",
            "443",
            "TCP:443",
            "udp:53",
            "listen:-1",
            "sctp:9",
            "tcp:٤٤٣",
        ] {
            assert!(Port::parse(text).is_err(), "{text}");
        }
    }
}
