//! Makes Rust of the wire contract in `proto/`.

use std::path::PathBuf;

use prost::Message;

/// The contract's files, by path beneath `proto/`.
const FILES: &[&str] = &[
    "sloth/v1/agent.proto",
    "sloth/v1/audit.proto",
    "sloth/v1/content.proto",
    "sloth/v1/enrolment.proto",
    "sloth/v1/event.proto",
    "sloth/v1/fleet.proto",
    "sloth/v1/session.proto",
];

#[expect(
    clippy::disallowed_methods,
    reason = "a build script reads its package and writes its output folder"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let descriptors = protox::compile(FILES, [&proto])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // What reflection answers from.
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".sloth.v1.Piece.data")
        .compile_fds(descriptors)?;
    println!("cargo::rerun-if-changed={}", proto.display());
    Ok(())
}
