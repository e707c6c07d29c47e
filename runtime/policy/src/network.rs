//! Networks: which addresses that are nobody's own a request may reach.
//!
//! An entry is a network (`10.0.0.0/8`), an address, or a name, `*.domain` or `*`, that may resolve to
//! such addresses. Addresses that the internet routes need no entry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::url::{Host, Url};
use crate::url_pattern::Hosts;

/// One entry of `http.addresses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// Addresses that begin with the same bits.
    Block(Block),
    /// Names, whatever they resolve to.
    Names(Names),
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    first: IpAddr,
    /// How many bits are the same.
    bits: u8,
}

/// Names by pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Hosts);

/// Whom a request goes to: the name it was asked for, the address that is to be connected to, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer<'a> {
    /// Where the request was to go.
    pub url: &'a Url,
    /// An address that its host resolved to; for a host that is an address, none or that.
    pub address: Option<IpAddr>,
    /// Whether it is an address of this very machine, however the internet routes it.
    pub here: bool,
}

impl Network {
    /// Reads an entry. The error is a sentence without its subject.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains(['/', ':']) || text.parse::<IpAddr>().is_ok() {
            return Block::parse(text).map(Self::Block);
        }
        match Hosts::parse(text)? {
            Hosts::One(Host::Address(address)) => Ok(Self::Block(Block::of(address))),
            hosts => Ok(Self::Names(Names(hosts))),
        }
    }

    /// Whether the entry covers a peer, by its name or its address. Allocates nothing.
    pub fn holds(&self, peer: Peer<'_>) -> bool {
        match self {
            Self::Block(block) => peer.address().is_some_and(|address| block.holds(address)),
            Self::Names(names) => names.holds(peer.url.host()),
        }
    }

    /// Whether a peer may be covered by both. A name may resolve to any address.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Block(own), Self::Block(others)) => {
                own.holds(others.first) || others.holds(own.first)
            }
            (Self::Names(own), Self::Names(others)) => own.0.meets(&others.0),
            _ => true,
        }
    }

    /// The network, if it is one.
    pub(crate) fn block(&self) -> Option<Block> {
        match self {
            Self::Block(block) => Some(*block),
            Self::Names(_) => None,
        }
    }

    /// The names, if it is names.
    pub(crate) fn names(&self) -> Option<&Names> {
        match self {
            Self::Block(_) => None,
            Self::Names(names) => Some(names),
        }
    }
}

impl Names {
    pub(crate) fn holds(&self, host: &Host) -> bool {
        // An address is covered as one, never as a name.
        matches!(host, Host::Name(_)) && self.0.holds(host)
    }

    /// What all its names begin with, read backwards.
    pub(crate) fn head(&self) -> String {
        self.0.head().0.chars().rev().collect()
    }

    pub(crate) fn is_any(&self) -> bool {
        self.0 == Hosts::Any
    }
}

impl Block {
    fn of(address: IpAddr) -> Self {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        Self {
            first: address,
            bits,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "is no network; write `10.0.0.0/8`, an address such as `127.0.0.1` or `fd00::1`, or a \
             name"
                .to_owned()
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let mut first: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let mut bits: u8 = match bits {
            Some(digits)
                if digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                digits.parse().map_err(|_| wrong())?
            }
            Some(_) => return Err(wrong()),
            None => most,
        };
        if bits > most {
            return Err(format!("has more than the {most} bits of an address"));
        }
        // What is IPv4 in IPv6 clothes is IPv4 wherever it is compared.
        if first.to_canonical() != first && bits >= 96 {
            first = first.to_canonical();
            bits -= 96;
        }
        let block = Self { first, bits };
        let (value, length) = value(first);
        if bits < length && value.wrapping_shl(128 - u32::from(length - bits)) != 0 {
            return Err(format!(
                "has bits beyond its first {bits} set; write its first address"
            ));
        }
        Ok(block)
    }

    /// Whether an address lies in it.
    pub fn holds(self, address: IpAddr) -> bool {
        let ((own, length), (other, other_length)) = (value(self.first), value(address));
        let rest = u32::from(length - self.bits);
        length == other_length && (own ^ other).checked_shr(rest).unwrap_or(0) == 0
    }
}

impl Peer<'_> {
    pub(crate) fn address(self) -> Option<IpAddr> {
        match (self.address, self.url.host()) {
            (Some(address), _) => Some(address.to_canonical()),
            (None, Host::Address(address)) => Some(*address),
            (None, Host::Name(_)) => None,
        }
    }
}

/// An address as a number, and of how many bits.
fn value(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Block {
    Block {
        first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        bits,
    }
}

const fn v6(a: u16, b: u16, bits: u8) -> Block {
    Block {
        first: IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)),
        bits,
    }
}

/// What the internet does not route to one well-known place: IANA's special-purpose registries, and
/// the address at which Azure's machines find their host.
const SPECIAL: &[Block] = &[
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(168, 63, 129, 16, 32),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 3),
    // Teredo and other tunnels, documentation, 6to4: some carry an IPv4 address inside.
    v6(0x2001, 0, 23),
    v6(0x2001, 0xdb8, 32),
    v6(0x2002, 0, 16),
    v6(0x3fff, 0, 20),
];

/// All that IPv6 routes. What is left out are loopback, link-local, private, multicast and IPv4 addresses.
const GLOBAL_V6: Block = v6(0x2000, 0, 3);

/// Whether an address is private, loopback, link-local, shared, multicast, reserved or a tunnel: one that
/// is reached only where `http.addresses` says so.
pub fn is_special(address: IpAddr) -> bool {
    let address = address.to_canonical();
    SPECIAL.iter().any(|block| block.holds(address))
        || address.is_ipv6() && !GLOBAL_V6.holds(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_internets_is_special() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(is_special(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2606:4700::1111",
            "2001:4860::8888",
            "2a00::1",
        ] {
            assert!(!is_special(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_network_holds_what_begins_with_its_bits() {
        let holds = |network: &str, address: &str| {
            let block = Block::parse(network).unwrap();
            block.holds(address.parse::<IpAddr>().unwrap().to_canonical())
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(holds("::ffff:127.0.0.0/104", "127.9.9.9"));
        assert!(holds("0.0.0.0/0", "255.0.0.1"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "fe80::1"));
        assert!(!holds("::/0", "10.0.0.1"));
        assert!(holds("fd00::/8", "fdff::1"));
        assert!(!holds("fd00::1", "fd00::2"));
    }
}
