//! A bundle on its way to a master.

use anyhow::Context;
use sha2::{Digest, Sha256};
use sloth_fleet::wire::client::{self, Fleet};
use sloth_fleet::wire::content;
use sloth_fleet::wire::generated::Piece;
use sloth_workflow::Bundle;
use sloth_workflow::value::base16;

/// Bytes in one piece.
const PIECE: usize = 256 << 10;

/// Sends a bundle; gives the digest that the master knows it by.
pub(super) async fn upload(
    fleet: &mut Fleet,
    bundle: &Bundle,
    signature: Option<&str>,
) -> anyhow::Result<String> {
    let bytes = content::encode(bundle, signature);
    let digest = format!("sha256:{}", base16(&Sha256::digest(&bytes)));
    let size = bytes.len() as u64;
    let first = digest.clone();
    let pieces = (0..bytes.len().max(1)).step_by(PIECE);
    let pieces: Vec<Piece> = pieces
        .map(|start| {
            let named = start == 0;
            Piece {
                digest: if named { first.clone() } else { String::new() },
                size: if named { size } else { 0 },
                data: bytes[start..bytes.len().min(start + PIECE)].to_vec().into(),
                run: String::new(),
            }
        })
        .collect();
    fleet
        .upload(tokio_stream::iter(pieces))
        .await
        .map_err(client::problem)
        .context("failed to send the bundle")?;
    Ok(digest)
}
