//! A master and its agents, from public commands alone, with real TLS on loopback.

mod audit;
mod ending;
mod placing;
mod reachable;
mod running;
mod secrets;
mod standing;
mod taken;
