//! A bundle on its way to a master.

use anyhow::Context;
use sloth_fleet::wire::client::Fleet;
use sloth_fleet::wire::generated::Piece;
use sloth_fleet::wire::{self, content};
use sloth_workflow::Bundle;

/// Bytes in one piece.
const PIECE: usize = 256 << 10;

/// Sends a bundle; gives the digest that the master knows it by.
pub(super) async fn upload(
    fleet: &mut Fleet,
    bundle: &Bundle,
    signature: Option<&str>,
) -> anyhow::Result<String> {
    let bytes = content::encoded(bundle, signature);
    let digest = content::digest(&bytes);
    let size = bytes.len() as u64;
    let bytes = bytes::Bytes::from(bytes);
    let first = digest.clone();
    let pieces = (0..bytes.len().max(1)).step_by(PIECE).map(move |start| {
        let named = start == 0;
        Piece {
            digest: if named { first.clone() } else { String::new() },
            size: if named { size } else { 0 },
            data: bytes.slice(start..bytes.len().min(start + PIECE)),
        }
    });
    fleet
        .upload(tokio_stream::iter(pieces))
        .await
        .map_err(wire::client::problem)
        .context("failed to send the bundle")?;
    Ok(digest)
}
