//! Contents on their way: bundles and artifacts of others come down, artifacts of this node's steps go up.

use std::io::{self, Read};
use std::time::Duration;

use prost::bytes::Bytes;
use sloth_workflow::Cancel;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::agent::Shared;
use crate::store::journal::{Content, Incoming};
use crate::wire::content::PIECE;
use crate::wire::generated::{FetchRequest, Piece};

/// How long a transfer waits for its next piece, and after a link broke before it asks for the next link.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);
/// How often a content that is not what it should be is asked for again.
const AGAIN: u32 = 2;

/// Why a content did not come or go.
#[derive(Debug)]
pub(super) enum Failed {
    /// The call that wanted it was cancelled.
    Cancelled,
    /// There is no use in trying again.
    For(String),
}

enum Broken {
    Link(Status),
    Content(String),
    For(String),
}

impl From<Status> for Broken {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::NotFound
            | Code::InvalidArgument
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::OutOfRange
            | Code::Unimplemented => Self::For(format!(
                "the master says: {}",
                sloth_workflow::Untrusted::new(status.message()).escaped()
            )),
            _ => Self::Link(status),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Content(error.to_string()),
            _ => Self::For(error.to_string()),
        }
    }
}

/// Opens a content of at most so many bytes, which is sent for if it is not here. Waits while the link is
/// gone.
pub(super) async fn fetch(
    shared: &Shared,
    run: &str,
    digest: &str,
    most: u64,
    cancel: &Cancel,
) -> Result<Content, Failed> {
    let mut attempts = 0;
    loop {
        if let Some(file) = shared
            .contents
            .open(digest)
            .map_err(|error| Failed::For(error.to_string()))?
        {
            return Ok(file);
        }
        let fetched = tokio::select! {
            fetched = fetch_once(shared, run, digest, most) => fetched,
            () = cancel.given() => return Err(Failed::Cancelled),
        };
        match fetched {
            Ok(file) => return Ok(file),
            Err(Broken::Link(status)) => {
                tracing::debug!("a transfer broke off: {}", status.code());
            }
            Err(Broken::Content(problem)) if attempts < AGAIN => {
                attempts += 1;
                tracing::warn!("{digest} is sent for again: {problem}");
            }
            Err(Broken::Content(problem) | Broken::For(problem)) => {
                return Err(Failed::For(problem));
            }
        }
        pause(cancel).await?;
    }
}

async fn fetch_once(
    shared: &Shared,
    run: &str,
    digest: &str,
    most: u64,
) -> Result<Content, Broken> {
    let mut up = shared.link.up().await;
    let request = FetchRequest {
        run: run.to_owned(),
        digest: digest.to_owned(),
    };
    let mut pieces = timely(up.client.fetch(request)).await??.into_inner();
    let first = timely(pieces.message()).await??;
    let first = first.ok_or_else(|| Broken::Content("it is empty".to_owned()))?;
    if first.digest != digest {
        return Err(Broken::Content("another content was sent".to_owned()));
    }
    if first.size > most {
        let size = first.size;
        return Err(Broken::For(format!(
            "it has {size} bytes, and {most} is the most"
        )));
    }
    let (contents, wanted) = (std::sync::Arc::clone(&shared.contents), digest.to_owned());
    let mut incoming = aside(move || contents.receive(&wanted, first.size)).await?;
    let mut next = Some(first.data);
    while let Some(data) = next {
        incoming = written(incoming, data).await?;
        next = timely(pieces.message()).await??.map(|piece| piece.data);
    }
    aside(move || incoming.finish()).await
}

async fn written(mut incoming: Incoming, data: Bytes) -> Result<Incoming, Broken> {
    aside(move || {
        incoming.write(&data)?;
        Ok(incoming)
    })
    .await
}

/// Sends a content up. Waits while the link is gone.
pub(super) async fn keep<R: Read + Send + 'static>(
    shared: &Shared,
    run: &str,
    digest: &str,
    size: u64,
    open: impl Fn() -> io::Result<R>,
    cancel: &Cancel,
) -> Result<(), Failed> {
    loop {
        let file = open().map_err(|error| Failed::For(error.to_string()))?;
        let kept = tokio::select! {
            kept = keep_once(shared, run, digest, size, file) => kept,
            () = cancel.given() => return Err(Failed::Cancelled),
        };
        match kept {
            Ok(()) => return Ok(()),
            Err(Broken::Link(status)) => {
                tracing::debug!("a transfer broke off: {}", status.code());
            }
            Err(Broken::Content(problem) | Broken::For(problem)) => {
                return Err(Failed::For(problem));
            }
        }
        pause(cancel).await?;
    }
}

async fn keep_once(
    shared: &Shared,
    run: &str,
    digest: &str,
    size: u64,
    file: impl Read + Send + 'static,
) -> Result<(), Broken> {
    let mut up = shared.link.up().await;
    let (sender, receiver) = mpsc::channel(2);
    let first = Piece {
        digest: digest.to_owned(),
        size,
        data: Bytes::new(),
        run: run.to_owned(),
    };
    let reading = tokio::task::spawn_blocking(move || read(file, first, &sender));
    let sent = up.client.keep(ReceiverStream::new(receiver)).await;
    let read = reading.await.map_err(io::Error::other)?;
    sent?;
    Ok(read?)
}

/// Reads a file into pieces, for as long as somebody takes them.
fn read(mut file: impl Read, first: Piece, sender: &mpsc::Sender<Piece>) -> io::Result<()> {
    let mut next = first;
    while sender.blocking_send(next).is_ok() {
        let mut data = Vec::new();
        (&mut file).take(PIECE as u64).read_to_end(&mut data)?;
        if data.is_empty() {
            break;
        }
        next = Piece {
            data: data.into(),
            ..Piece::default()
        };
    }
    Ok(())
}

async fn timely<T>(answer: impl Future<Output = T>) -> Result<T, Broken> {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.map_err(|_| Broken::Link(Status::deadline_exceeded("nothing came")))
}

async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Broken> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(io::Error::other)??)
}

async fn pause(cancel: &Cancel) -> Result<(), Failed> {
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => Ok(()),
        () = cancel.given() => Err(Failed::Cancelled),
    }
}
