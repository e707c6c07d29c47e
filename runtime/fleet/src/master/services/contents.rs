//! Bundles and artifacts on their way in and out.

use std::collections::BTreeMap;
use std::time::SystemTime;

use sloth_workflow::Bundle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::session::{Answers, digits, keeping};
use super::uploads;
use crate::master::Core;
use crate::master::access::caller::Caller;
use crate::store::master::Error;
use crate::wire::content::{self, Apart, MAX_BUNDLE, Opened};
use crate::wire::generated::Piece;
use crate::wire::value;

/// A bundle of fewer bytes is unpacked at once.
const SMALL: usize = 64 << 10;
/// Most bytes of an artifact.
const LARGEST_ARTIFACT: u64 = 4 << 30;
/// Most bytes of all that the steps of one run leave.
const LARGEST_RUN: u64 = 32 << 30;

impl Core {
    /// Keeps a bundle, or a large file of one, that comes in pieces; gives the digits of its digest. What the caller
    /// has sent before need not come again.
    pub(crate) async fn keep_bundle(
        &self,
        caller: &Caller,
        mut pieces: Streaming<Piece>,
    ) -> Result<String, Status> {
        let _place = self.uploads.place(&caller.name).await;
        let first = first(&mut pieces).await?;
        let known = digits(first.digest.clone())?;
        let again = self
            .store
            .sent_again(&caller.name, &known, SystemTime::now());
        if again.await.map_err(keeping)? {
            return Ok(known);
        }
        let sender = Some(caller.name.clone());
        self.keep(first, pieces, MAX_BUNDLE, sender).await
    }

    /// Keeps what a step of a run left. Only whoever has the bytes gets to name them as the run's.
    pub(crate) async fn keep_artifact(
        &self,
        caller: &Caller,
        mut pieces: Streaming<Piece>,
    ) -> Result<(), Status> {
        let _place = self.uploads.place_now(&caller.name)?;
        let first = first(&mut pieces).await?;
        let run = first.run.clone();
        self.takes_part(caller, &run).await?;
        let known = digits(first.digest.clone())?;
        let uses = self.store.uses_content(&run, &known).await;
        if uses.map_err(keeping)? {
            return Ok(());
        }
        let full = |()| {
            Status::resource_exhausted(format!(
                "the steps of a run may leave {} GiB of artifacts in all",
                LARGEST_RUN >> 30
            ))
        };
        let held = self.store.contents_size(&run).await.map_err(keeping)?;
        let left = LARGEST_RUN.checked_sub(held.saturating_add(first.size));
        left.ok_or(()).map_err(full)?;
        let digits = self.keep(first, pieces, LARGEST_ARTIFACT, None).await?;
        // Others came meanwhile.
        match self.store.use_content(&run, &digits, LARGEST_RUN).await {
            Err(Error::TooLarge { .. }) => Err(full(())),
            kept => kept.map_err(keeping),
        }
    }

    async fn keep(
        &self,
        first: Piece,
        mut pieces: Streaming<Piece>,
        most: u64,
        sender: Option<String>,
    ) -> Result<String, Status> {
        let digits = digits(first.digest)?;
        let upload = self.store.receive(&digits, first.size, most).await;
        let mut upload = upload.map_err(keeping)?;
        let mut data = first.data;
        loop {
            upload.write(data.into()).await.map_err(keeping)?;
            match uploads::next(&mut pieces).await? {
                Some(piece) => data = piece.data,
                None => break,
            }
        }
        self.store
            .keep(upload, sender, SystemTime::now())
            .await
            .map_err(keeping)?;
        Ok(digits)
    }

    /// A content in pieces.
    pub(crate) async fn pieces(&self, digits: &str) -> Result<Answers<Piece>, Status> {
        let mut content = self.store.content(digits).await.map_err(keeping)?;
        let (sender, answers) = mpsc::channel(4);
        let mut name = value::named(digits);
        tokio::spawn(async move {
            loop {
                let first = !name.is_empty();
                let piece = match content.piece().await {
                    Ok(None) if !first => return,
                    Ok(data) => Ok(Piece {
                        size: if first { content.size } else { 0 },
                        digest: std::mem::take(&mut name),
                        data: data.unwrap_or_default().into(),
                        run: String::new(),
                    }),
                    Err(error) => Err(keeping(error)),
                };
                let failed = piece.is_err();
                if sender.send(piece).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Box::pin(ReceiverStream::new(answers)))
    }

    /// A bundle that the caller has sent, with its large files, and the digits of their digests.
    pub(crate) async fn bundle(
        &self,
        caller: &Caller,
        content: &str,
    ) -> Result<(Bundle, Vec<String>), Status> {
        let sender = Some(caller.name.as_str());
        let opened = self.opened(content, sender).await?;
        let mut contents = BTreeMap::new();
        for Apart { digest, size } in opened.apart() {
            // By a digest alone nobody gets to name what others sent, nor to have more read than the bundle says.
            let bytes = self.bytes(&digits(digest.clone())?, sender, size).await?;
            contents.insert(digest, bytes);
        }
        let apart = named(&opened)?;
        let whole = move || opened.whole(&contents);
        let (bundle, _) = aside(apart.is_empty(), whole)
            .await?
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok((bundle, apart))
    }

    /// The digits of the digests of a kept bundle's large files.
    pub(crate) async fn apart(&self, digits: &str) -> Result<Vec<String>, Status> {
        named(&self.opened(digits, None).await?)
    }

    async fn opened(&self, digits: &str, sender: Option<&str>) -> Result<Opened, Status> {
        let bytes = self.bytes(digits, sender, MAX_BUNDLE).await?;
        let opened = aside(bytes.len() < SMALL, move || content::decode(&bytes)).await?;
        opened.map_err(|error| Status::invalid_argument(error.to_string()))
    }

    async fn bytes(
        &self,
        digits: &str,
        sender: Option<&str>,
        most: u64,
    ) -> Result<Vec<u8>, Status> {
        let bytes = self.store.whole_content(digits, sender, most).await;
        bytes.map_err(keeping)
    }
}

/// Hashing and unpacking megabytes is no work for a thread that others wait for.
async fn aside<T: Send + 'static>(
    is_small: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    if is_small {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|defect| Status::internal(defect.to_string()))
}

fn named(opened: &Opened) -> Result<Vec<String>, Status> {
    let digests = opened.apart().into_iter().map(|apart| apart.digest);
    digests.map(digits).collect()
}

async fn first(pieces: &mut Streaming<Piece>) -> Result<Piece, Status> {
    let first = uploads::next(pieces).await?;
    first.ok_or_else(|| Status::invalid_argument("no piece came"))
}
