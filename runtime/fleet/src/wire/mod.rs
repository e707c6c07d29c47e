//! The wire contract in Rust, and how it becomes what the rest of the program speaks of. Types made of `proto/` are named
//! here and at the edges of services only.
//!
//! Reading order: `generated` → [`malformed`] (what makes no sense) → [`words`] (enums) and [`value`] (CBOR) → [`event`],
//! [`record`] and [`finished`] (what runs leave) → [`audit`] → [`role`] → [`client`] (how a master is reached).

pub mod audit;
pub mod client;
pub mod event;
pub mod finished;
pub mod malformed;
pub mod record;
pub mod role;
pub mod run;
pub mod value;
pub mod words;

pub use malformed::Malformed;

pub mod assign;
pub mod content;

#[expect(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unused_qualifications,
    reason = "generated"
)]
pub mod generated {
    tonic::include_proto!("sloth.v1");
}

/// The contract's own description, from which reflection answers.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
