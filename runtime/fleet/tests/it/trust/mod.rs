//! Who is let in, and who is not: real TLS on loopback.
//!
//! Reading order: `house` (a master's doors, with services that say that they were reached) and `memory` (what they
//! know) → the rest, each an attack or a way in.

mod authority;
mod client;
mod enrol;
mod flood;
mod garbage;
mod house;
mod impostors;
mod memory;
mod proofs;
mod roles;
mod session;
mod tokens;
