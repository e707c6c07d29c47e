//! Bundles and artifacts on their way in and out.

use std::sync::Arc;

use sloth_workflow::Bundle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::Core;
use super::session::{Answers, keeping};
use crate::wire;
use crate::wire::generated::Piece;

/// Bytes in one piece.
const PIECE: usize = 256 << 10;
/// A bundle is no larger: what it may carry, its script, and what encoding adds.
const MOST: u64 = (80 << 20) + sloth_workflow::bundle::MAX_SCRIPT;
/// Nor is an artifact.
pub(super) const MOST_ARTIFACT: u64 = 4 << 30;

impl Core {
    /// Keeps what comes in pieces; gives its digest.
    pub(super) async fn keep(
        &self,
        mut pieces: Streaming<Piece>,
        most: u64,
    ) -> Result<String, Status> {
        let first = pieces
            .message()
            .await?
            .ok_or_else(|| Status::invalid_argument("no piece came"))?;
        if first.size > most {
            return Err(Status::invalid_argument(format!(
                "{} bytes are too many, at most {most} are kept",
                first.size
            )));
        }
        if self.store.has_content(&first.digest).await.map_err(keeping)? {
            return Ok(first.digest);
        }
        let mut content = self
            .store
            .write_content(&first.digest, first.size)
            .await
            .map_err(keeping)?;
        content.write(first.data).await.map_err(keeping)?;
        while let Some(piece) = pieces.message().await? {
            content.write(piece.data).await.map_err(keeping)?;
        }
        // Compares size and digest.
        content.finish().await.map_err(keeping)?;
        Ok(first.digest)
    }

    /// A content in pieces.
    pub(super) async fn pieces(&self, digest: &str) -> Result<Answers<Piece>, Status> {
        let mut content = self
            .store
            .read_content(digest)
            .await
            .map_err(keeping)?
            .ok_or_else(|| Status::not_found(format!("there is no content {digest}")))?;
        let (sender, answers) = mpsc::channel(4);
        let digest = digest.to_owned();
        tokio::spawn(async move {
            let mut next = Piece {
                digest,
                size: content.size(),
                data: bytes::Bytes::new(),
            };
            loop {
                let piece = match content.read(PIECE).await {
                    Ok(data) if data.is_empty() && next.digest.is_empty() => return,
                    Ok(data) => Ok(Piece { data, ..std::mem::take(&mut next) }),
                    Err(error) => Err(keeping(error)),
                };
                let over = piece.is_err();
                if sender.send(piece).await.is_err() || over {
                    return;
                }
            }
        });
        Ok(Box::pin(ReceiverStream::new(answers)))
    }

    /// A bundle that is kept.
    pub(super) async fn bundle(&self, digest: &str) -> Result<Arc<Bundle>, Status> {
        let mut content = self
            .store
            .read_content(digest)
            .await
            .map_err(keeping)?
            .ok_or_else(|| {
                Status::failed_precondition(format!("the bundle {digest} was not uploaded"))
            })?;
        if content.size() > MOST {
            return Err(Status::invalid_argument("the bundle is too large"));
        }
        let mut bytes = Vec::new();
        loop {
            let piece = content.read(PIECE).await.map_err(keeping)?;
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(&piece);
        }
        wire::content::bundle(&bytes)
            .map(Arc::new)
            .map_err(|error| Status::invalid_argument(format!("the bundle: {error}")))
    }
}
