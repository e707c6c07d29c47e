//! An answer's body, piece by piece: never longer than asked for, and never slower than anybody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::time::timeout;

use super::exchange::reason;
use super::{Fetching, failed};

/// Least bytes that must come while one is patient once.
const LEAST: u64 = 1 << 10;

/// The bytes that all of a step's requests together hold in memory, and how many they may.
#[derive(Clone, Debug)]
pub(super) struct Room {
    held: Arc<AtomicU64>,
    limit: u64,
}

/// A part of the room that is in use. Dropping it makes it free.
#[derive(Debug)]
pub(super) struct Held {
    room: Room,
    bytes: u64,
}

/// A body that is being read.
pub(super) struct Reading {
    body: Incoming,
    /// What messages call the request.
    name: String,
    limit: u64,
    read: u64,
    patience: Duration,
    /// When the present measure of progress began, and what came since.
    since: (Instant, u64),
}

impl Room {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            held: Arc::default(),
            limit,
        }
    }

    /// An empty part.
    pub(super) fn part(&self) -> Held {
        Held {
            room: self.clone(),
            bytes: 0,
        }
    }
}

impl Held {
    /// Takes more of the room; false if there is no more.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        let held = self.room.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.bytes += bytes;
        held <= self.room.limit
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Reading {
    /// Begins to read. An answer that says it is too long is not read at all.
    pub(super) fn begin(
        body: Incoming,
        name: String,
        limit: u64,
        patience: Duration,
    ) -> Fetching<Self> {
        let reading = Self {
            since: (Instant::now(), 0),
            read: 0,
            body,
            name,
            limit,
            patience,
        };
        if reading.body.size_hint().lower() > limit {
            return failed(reading.too_long());
        }
        Ok(reading)
    }

    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Fetching<Option<Bytes>> {
        loop {
            let Ok(frame) = timeout(self.patience, self.body.frame()).await else {
                return failed(self.too_slow());
            };
            let piece = match frame {
                None => return Ok(None),
                Some(Err(error)) => return failed(format!("{}: {}", self.name, reason(&error))),
                // Trailers are nobody's.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => piece,
                    Err(_) => continue,
                },
            };
            let length = piece.len() as u64;
            self.read += length;
            if self.read > self.limit {
                return failed(self.too_long());
            }
            self.progress(length)?;
            return Ok(Some(piece));
        }
    }

    /// All of it, in memory.
    pub(super) async fn whole(mut self, held: &mut Held) -> Fetching<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            if !held.grow(piece.len() as u64) {
                return failed(format!(
                    "{}: the answers of this step's requests hold more than its memory; collect \
                     fewer at once, or download them into files",
                    self.name
                ));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    fn progress(&mut self, length: u64) -> Fetching<()> {
        let (began, came) = &mut self.since;
        *came += length;
        if began.elapsed() < self.patience {
            return Ok(());
        }
        if *came < LEAST {
            return failed(self.too_slow());
        }
        self.since = (Instant::now(), 0);
        Ok(())
    }

    fn too_long(&self) -> String {
        format!(
            "{}: the answer is longer than {} bytes; ask for more with `limit`, or download it into \
             a file",
            self.name, self.limit
        )
    }

    fn too_slow(&self) -> String {
        format!(
            "{}: less than {LEAST} bytes of the answer came in {:?}",
            self.name, self.patience
        )
    }
}
