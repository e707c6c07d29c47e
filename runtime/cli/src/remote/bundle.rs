//! A bundle on its way to a master.

use anyhow::Context;
use sha2::{Digest, Sha256};
use sloth_fleet::wire::client::{self, Fleet};
use sloth_fleet::wire::content;
use sloth_fleet::wire::generated::Piece;
use sloth_workflow::Bundle;
use sloth_workflow::value::base16;
use tokio::task::JoinSet;

/// Bytes in one piece.
const PIECE: usize = 256 << 10;
/// Large files that are sent beside each other.
const AT_ONCE: usize = 4;

/// Sends a bundle; gives the digest that the master knows it by. Of its large files those go that the master was not
/// sent before.
pub(super) async fn upload(
    fleet: &mut Fleet,
    bundle: &Bundle,
    signature: Option<&str>,
) -> anyhow::Result<String> {
    let packed = content::encode(bundle, signature);
    let mut under_way = JoinSet::new();
    for (digest, content) in packed.apart {
        if under_way.len() == AT_ONCE {
            one_sent(&mut under_way).await?;
        }
        under_way.spawn(send(fleet.clone(), digest, content.to_vec()));
    }
    while !under_way.is_empty() {
        one_sent(&mut under_way).await?;
    }
    let digest = format!("sha256:{}", base16(&Sha256::digest(&packed.bytes)));
    send(fleet.clone(), digest.clone(), packed.bytes).await?;
    Ok(digest)
}

async fn one_sent(under_way: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    under_way.join_next().await.unwrap_or(Ok(Ok(())))?
}

async fn send(mut fleet: Fleet, digest: String, bytes: Vec<u8>) -> anyhow::Result<()> {
    let size = bytes.len() as u64;
    // The master may know it by its name alone, and then takes no more.
    let named = Piece {
        digest,
        size,
        ..Piece::default()
    };
    let rest = (0..bytes.len()).step_by(PIECE).map(move |start| Piece {
        data: bytes[start..bytes.len().min(start + PIECE)].to_vec().into(),
        ..Piece::default()
    });
    fleet
        .upload(tokio_stream::iter(std::iter::once(named).chain(rest)))
        .await
        .map_err(client::problem)
        .context("failed to send the bundle")?;
    Ok(())
}
