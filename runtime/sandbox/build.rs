//! Digests the committed guest once, so that no start of the program has to.

#![expect(
    clippy::disallowed_methods,
    reason = "the one room where this is at home; see clippy.toml"
)]

use std::fmt::Write;

use sha2::{Digest, Sha256};

fn main() {
    let guest = "../../guest/lua.wasm";
    println!("cargo::rerun-if-changed={guest}");
    let bytes =
        std::fs::read(guest).expect("guest/lua.wasm is committed; `just guest` rebuilds it");
    let digest = Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes every write");
            text
        });
    println!("cargo::rustc-env=SLOTH_GUEST_SHA256={digest}");
}
