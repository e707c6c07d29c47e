//! An answer's body into a file: it takes the name's place when all of it is there and is what was asked
//! for, and not before.

use std::io::{self, Read};
use std::sync::Arc;

use hyper::body::Bytes;
use sha2::{Digest, Sha256};
use sloth_workflow::value::base16;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::body::{Held, Reading};
use super::target::Target;
use super::{Fetching, failed};
use crate::place::act;

/// Pieces on their way to the disk.
const ON_THE_WAY: usize = 8;
/// Most bytes that check mode remembers of a file that would be downloaded.
pub(super) const MOST_PLANNED: u64 = 16 << 20;

/// What became of the file.
#[derive(Debug)]
pub(super) enum Saved {
    /// It is so already.
    Same,
    /// It was written, so many bytes.
    Written(u64),
    /// In check mode: it would hold this, or what is too long to be remembered.
    Planned(Option<Vec<u8>>),
}

enum Piece {
    Bytes(Bytes),
    /// All of it came, and it is what was asked for.
    End,
}

/// The pieces as they come, for who writes them. They end in an error unless somebody said that it was all.
struct Pieces {
    coming: Receiver<Piece>,
    present: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.present.is_empty() {
            match self.coming.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.present = bytes,
                Some(Piece::End) => return Ok(0),
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        let count = self.present.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.present.split_to(count));
        Ok(count)
    }
}

/// Writes the body to its place.
pub(super) async fn save(name: &str, mut reading: Reading, target: Target) -> Fetching<Saved> {
    let target = Arc::new(target);
    let (sender, coming) = channel(ON_THE_WAY);
    let place = Arc::clone(&target);
    let writer = tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces {
            coming,
            present: Bytes::new(),
        };
        if place.create_only {
            act::create_from(&place.place, &mut pieces, place.to)
        } else {
            act::replace_from(&place.place, &mut pieces, place.to)
        }
    });
    let fed = feed(name, &mut reading, &target, &sender).await;
    drop(sender);
    let written = writer.await;
    match (fed, written) {
        (Ok(Fed::Same), _) => Ok(Saved::Same),
        (Ok(Fed::Whole(size)), Ok(Ok(_))) => Ok(Saved::Written(size)),
        // Where writing failed, nobody took the pieces any more.
        (Ok(Fed::Whole(_) | Fed::Stopped), Ok(Err(error))) => failed(format!(
            "{name}: failed to write {}: {error}",
            target.place.path
        )),
        (Err(failure), _) => Err(failure),
        (Ok(Fed::Stopped), Ok(Ok(_))) | (_, Err(_)) => {
            failed(format!("{name}: writing {} broke off", target.place.path))
        }
    }
}

enum Fed {
    Same,
    Whole(u64),
    /// The writer gave up.
    Stopped,
}

async fn feed(
    name: &str,
    reading: &mut Reading,
    target: &Arc<Target>,
    sender: &Sender<Piece>,
) -> Fetching<Fed> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    while let Some(piece) = reading.next().await? {
        hash.update(&piece);
        size += piece.len() as u64;
        if sender.send(Piece::Bytes(piece)).await.is_err() {
            return Ok(Fed::Stopped);
        }
    }
    let digest = base16(&hash.finalize());
    if compare(name, target, digest, size).await? {
        return Ok(Fed::Same);
    }
    match sender.send(Piece::End).await {
        Ok(()) => Ok(Fed::Whole(size)),
        Err(_) => Ok(Fed::Stopped),
    }
}

/// Check mode: what the file would hold.
pub(super) async fn foresee(
    name: &str,
    mut reading: Reading,
    target: Target,
    held: &mut Held,
) -> Fetching<Saved> {
    let mut content = Vec::new();
    while let Some(piece) = reading.next().await? {
        let length = piece.len() as u64;
        if content.len() as u64 + length > MOST_PLANNED || !held.grow(length) {
            return Ok(Saved::Planned(None));
        }
        content.extend_from_slice(&piece);
    }
    let (digest, size) = (base16(&Sha256::digest(&content)), content.len() as u64);
    if compare(name, &Arc::new(target), digest, size).await? {
        return Ok(Saved::Same);
    }
    Ok(Saved::Planned(Some(content)))
}

/// Whether the file is so already; an error when the body is not what was asked for.
async fn compare(name: &str, target: &Arc<Target>, digest: String, size: u64) -> Fetching<bool> {
    if let Some(wanted) = &target.sha256
        && *wanted != digest
    {
        return failed(format!(
            "{name}: the answer's SHA-256 is {digest}, not {wanted}; nothing is written"
        ));
    }
    let other = Arc::clone(target);
    let compared = tokio::task::spawn_blocking(move || other.has(&digest, Some(size))).await;
    match compared {
        Ok(Ok(same)) => Ok(same),
        Ok(Err(error)) => failed(format!(
            "{name}: failed to read {}: {error}",
            target.place.path
        )),
        Err(_) => failed(format!("{name}: reading {} broke off", target.place.path)),
    }
}
