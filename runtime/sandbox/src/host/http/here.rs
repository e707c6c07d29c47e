//! Which addresses are this very machine's. What listens on all of them listens on those that the internet routes too,
//! so a request to them goes where one to loopback goes.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

/// Whether an address is one of this machine's. Where that cannot be told, none is.
pub(crate) fn is_here(address: IpAddr) -> bool {
    let Ok(mut interfaces) = getifaddrs() else {
        return false;
    };
    interfaces.any(|interface| {
        let Some(own) = interface.address else {
            return false;
        };
        let four = own.as_sockaddr_in().map(|own| IpAddr::V4(own.ip()));
        let six = own.as_sockaddr_in6().map(|own| IpAddr::V6(own.ip()));
        four.or(six) == Some(address)
    })
}
