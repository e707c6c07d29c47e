//! How much whoever comes may take.

use std::time::Duration;

/// Limits of the doors.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections at once.
    pub connections: usize,
    /// Of these, most that showed no certificate that is good.
    pub anonymous: usize,
    /// Most that are at their beginning.
    pub handshakes: usize,
    /// Of these, most of one address.
    pub handshakes_of_one: usize,
    /// How long the beginning may take.
    pub handshake: Duration,
    /// How long a connection without a certificate may go without showing a key that is good.
    pub patience: Duration,
    /// Most connections of one name.
    pub of_one_name: usize,
    /// Most calls of one connection at once.
    pub streams: u32,
    /// How long calls that run may go on when the master stops.
    pub farewell: Duration,
}

impl Limits {
    /// What fits this process, which may have so many files open and no more: some are left for the store.
    pub fn of_process() -> Self {
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let most = most.map_or(16_384, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let connections = most.saturating_sub(256).clamp(64, 16_384);
        Self {
            connections,
            anonymous: connections / 4,
            handshakes: (connections / 4).min(2048),
            handshakes_of_one: (connections / 8).min(256),
            handshake: crate::pki::credential::HANDSHAKE,
            patience: Duration::from_secs(30),
            of_one_name: (connections / 8).min(128),
            streams: 128,
            farewell: Duration::from_secs(10),
        }
    }
}
