//! Archives as a stream of entries: tar, plain or compressed by gzip or zstd, and zip. What an entry is
//! called and where a link leads is checked here; nothing here touches the node but the archive itself.

use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use hyper::body::Bytes;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::entry::{Entry, Kind, Named};
use super::many::Watched;
use super::tarred;
use crate::host::error::{Error, Result};
use crate::place::observe::Held;
use crate::watch::Watch;

/// Most bytes of a zip file's directory, and of the headers of one tar entry.
pub(super) const MAX_HEADERS: u64 = 16 << 20;
/// Largest zstd window: what `zstd --long` needs at its default.
const MAX_WINDOW: u64 = 128 << 20;
/// No honest archive is so much larger unpacked, and so much is never suspicious.
const MAX_RATIO: u64 = 1000;
const UNSUSPICIOUS: u64 = 10 << 20;

/// Where an archive's bytes are.
#[derive(Clone)]
pub(super) enum Stored {
    Node(Arc<Held>),
    Carried(Bytes),
}

/// An archive that can be gone through from its start as often as needed.
#[derive(Clone)]
pub(super) struct Archive {
    /// For messages.
    pub(super) path: String,
    pub(super) stored: Stored,
    /// Most bytes it may unpack to.
    pub(super) limit: u64,
    pub(super) strip: usize,
    pub(super) watch: Watch,
}

/// What is done with each entry, in the archive's order.
pub(super) type Take<'a> = &'a mut dyn FnMut(Named, &mut dyn Read) -> Result<()>;

enum Format {
    Gzip,
    Zstd,
    Zip,
    Tar,
}

impl Archive {
    /// Goes through all entries. May block; looks at the step's time between pieces.
    pub(super) fn walk(&self, take: Take<'_>) -> Result<()> {
        let mut reader = self.open().map_err(|error| self.broken(&error))?;
        let format = format(&mut reader).map_err(|error| self.broken(&error))?;
        let size = reader
            .seek(SeekFrom::End(0))
            .and_then(|size| reader.rewind().map(|()| size))
            .map_err(|error| self.broken(&error))?;
        let suspicious = size.saturating_mul(MAX_RATIO).max(UNSUSPICIOUS);
        let mut left = Left(self.limit.min(suspicious));
        match format {
            Some(Format::Zip) => self.walk_zip(reader, &mut left, take),
            Some(Format::Gzip) => {
                let unpacked = MultiGzDecoder::new(BufReader::with_capacity(128 << 10, reader));
                tarred::walk(self, left.over(unpacked), take)
            }
            Some(Format::Zstd) => {
                let frames = Frames::new(BufReader::with_capacity(128 << 10, reader));
                let frames = frames.map_err(|error| self.broken(&error))?;
                tarred::walk(self, left.over(frames), take)
            }
            Some(Format::Tar) => tarred::walk(self, left.over(reader), take),
            None => Err(Error::invalid(format!(
                "{} is no archive that can be unpacked: tar, plain or compressed by gzip or zstd, \
                 and zip can be",
                self.path
            ))),
        }
    }

    fn walk_zip(&self, reader: Source, left: &mut Left, take: Take<'_>) -> Result<()> {
        let budget = std::cell::Cell::new(Some(MAX_HEADERS));
        let opening = Bounded {
            inner: reader,
            left: &budget,
        };
        let mut zip = zip::ZipArchive::new(opening).map_err(|error| self.broken_zip(&error))?;
        budget.set(None);
        for index in 0..zip.len() {
            let mut file = zip
                .by_index(index)
                .map_err(|error| self.broken_zip(&error))?;
            let name = file
                .name()
                .map_err(|error| self.broken_zip(&error))?
                .into_owned();
            let kind = match (file.unix_mode().map(|mode| mode & 0o170_000), file.is_dir()) {
                (_, true) => Kind::Folder,
                (Some(0o120_000), _) => {
                    let mut target = String::new();
                    let read = (&mut file).take(4096).read_to_string(&mut target);
                    read.map_err(|error| self.broken(&error))?;
                    Kind::Link(target)
                }
                (None | Some(0 | 0o100_000), _) => Kind::File,
                _ => Kind::Other,
            };
            let folder = kind == Kind::Folder;
            let mode = file.unix_mode();
            let entry = Entry {
                index,
                name,
                kind,
                mode: mode.unwrap_or(if folder { 0o755 } else { 0o644 }),
                size: file.size(),
            };
            if let Some(named) = entry.named(self.strip)? {
                self.give(named, &mut left.over(file), take)?;
            }
        }
        Ok(())
    }

    /// Hands an entry on; that the step must end comes before what became of it.
    pub(super) fn give(&self, named: Named, content: &mut dyn Read, take: Take<'_>) -> Result<()> {
        let mut content = Watched {
            file: content,
            watch: self.watch.clone(),
        };
        let taken = take(named, &mut content);
        self.watch.still()?;
        taken
    }

    fn open(&self) -> io::Result<Source> {
        let mut source = match &self.stored {
            Stored::Node(file) => Source::Node(file.try_clone()?),
            Stored::Carried(bytes) => Source::Carried(Cursor::new(bytes.clone())),
        };
        source.rewind()?;
        Ok(source)
    }

    pub(super) fn broken(&self, error: &io::Error) -> Error {
        if let Err(interrupt) = self.watch.still() {
            return interrupt.into();
        }
        if let Some(TooMuch) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return self.too_much();
        }
        Error::failed(format!("failed to unpack {}: {error}", self.path))
    }

    pub(super) fn too_much(&self) -> Error {
        Error::failed(format!(
            "{} unpacks to more than {} bytes or to more than {MAX_RATIO} times its size; if it is \
             meant to, raise scratch in [limits] of the policy or unpack it by a program",
            self.path, self.limit
        ))
    }

    fn broken_zip(&self, error: &zip::result::ZipError) -> Error {
        match error {
            zip::result::ZipError::Io(error) => self.broken(error),
            other => Error::invalid(format!("failed to unpack {}: {other}", self.path)),
        }
    }
}

fn format(source: &mut Source) -> io::Result<Option<Format>> {
    let mut start = Vec::new();
    source.take(512).read_to_end(&mut start)?;
    source.rewind()?;
    Ok(match start.as_slice() {
        [0x1f, 0x8b, ..] => Some(Format::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Format::Zstd),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Format::Zip),
        block if block.get(257..262) == Some(b"ustar") => Some(Format::Tar),
        // The oldest tar has no mark; its end, and so an empty archive, is a block of zeros.
        block if block.len() == 512 && tarred::is_header(block) => Some(Format::Tar),
        _ => None,
    })
}

enum Source {
    Node(Held),
    Carried(Cursor<Bytes>),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Node(file) => file.read(buffer),
            Self::Carried(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Node(file) => file.seek(to),
            Self::Carried(bytes) => bytes.seek(to),
        }
    }
}

/// The frames of a zstd file, one after the other.
struct Frames<R: BufRead> {
    frame: Option<StreamingDecoder<R, FrameDecoder>>,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> io::Result<Self> {
        let frame = StreamingDecoder::new_with_max_window_size(source, MAX_WINDOW);
        frame
            .map(|frame| Self { frame: Some(frame) })
            .map_err(io::Error::other)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(frame) = &mut self.frame {
            let count = frame.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let mut source = self.frame.take().map(StreamingDecoder::into_inner);
            if let Some(mut source) = source.take()
                && !source.fill_buf()?.is_empty()
            {
                *self = Self::new(source)?;
            }
        }
        Ok(0)
    }
}

/// How much may still come out of an archive.
struct Left(u64);

#[derive(Debug, thiserror::Error)]
#[error("it unpacks to too much")]
struct TooMuch;

impl Left {
    fn over<R: Read>(&mut self, inner: R) -> Counted<'_, R> {
        Counted { inner, left: self }
    }
}

struct Counted<'a, R> {
    inner: R,
    left: &'a mut Left,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.left.0.checked_sub(count as u64);
        self.left.0 = left.ok_or_else(|| io::Error::other(TooMuch))?;
        Ok(count)
    }
}

/// Bounds what is read while a zip file's directory is: that is all held in memory.
struct Bounded<'a, R> {
    inner: R,
    /// None is without bounds.
    left: &'a std::cell::Cell<Option<u64>>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(left) = self.left.get() {
            let left = left.checked_sub(count as u64).ok_or_else(|| {
                io::Error::other(format!(
                    "its directory is longer than {} MiB",
                    MAX_HEADERS >> 20
                ))
            })?;
            self.left.set(Some(left));
        }
        Ok(count)
    }
}

impl<R: Seek> Seek for Bounded<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
