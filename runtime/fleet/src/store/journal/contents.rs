//! Contents by digest: bundles and artifacts that were sent, each verified while it was written. What was used
//! longest ago goes first.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use sloth_workflow::value::base16;

/// The contents that a node was sent.
#[derive(Debug)]
pub struct Contents {
    folder: PathBuf,
    /// Most bytes together.
    most: u64,
    next: AtomicU64,
}

/// A content that is being received. Dropping it throws it away.
#[derive(Debug)]
pub struct Incoming {
    file: File,
    staged: PathBuf,
    place: PathBuf,
    wanted: String,
    hash: Sha256,
    size: u64,
    written: u64,
}

/// The digits of a digest that is written `sha256:` and 64 hexadecimal digits in lower case; none of
/// anything else.
pub fn digits(digest: &str) -> Option<&str> {
    let digits = digest.strip_prefix("sha256:")?;
    let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digits.len() == 64 && digits.bytes().all(hexadecimal)).then_some(digits)
}

impl Contents {
    /// The contents of a data folder, of at most so many bytes together. What an earlier process was in the
    /// middle of receiving is removed.
    pub fn beneath(data: &Path, most: u64) -> io::Result<Self> {
        let folder = data.join("contents");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            folder,
            most,
            next: AtomicU64::new(0),
        })
    }

    /// Opens a content. Its bytes are hashed again where a damaged one must not be used.
    pub fn open(&self, digest: &str) -> io::Result<Option<File>> {
        let Some(digits) = digits(digest) else {
            return Ok(None);
        };
        match File::open(self.folder.join(digits)) {
            Ok(file) => {
                // Its time says when it was used; that it cannot be set makes it go early, no more.
                let _ = file.set_modified(SystemTime::now());
                Ok(Some(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of a content, which are what the digest says; one that is damaged is removed.
    pub fn read(&self, digest: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.open(digest)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, most + 1), &mut bytes)?;
        let real = base16(&Sha256::digest(&bytes));
        if bytes.len() as u64 > most || digits(digest) != Some(&real) {
            tracing::warn!("{digest} in the contents is damaged and is sent for again");
            self.remove(digest)?;
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    /// Removes a content, if it is there.
    pub fn remove(&self, digest: &str) -> io::Result<()> {
        let Some(digits) = digits(digest) else {
            return Ok(());
        };
        match std::fs::remove_file(self.folder.join(digits)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Begins to receive a content of a size, for which room is made.
    pub fn receive(&self, digest: &str, size: u64) -> io::Result<Incoming> {
        let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
        let digits = digits(digest)
            .ok_or_else(|| invalid(format!("{digest:?} is no digest of a content")))?;
        if size > self.most {
            return Err(invalid(format!(
                "it has {size} bytes, and the agent keeps {} at most; raise --contents (see agent start --help)",
                self.most
            )));
        }
        self.make_room(size)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let staged = self.folder.join(format!(".{number}-{digits}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&staged)?;
        Ok(Incoming {
            file,
            staged,
            place: self.folder.join(digits),
            wanted: digits.to_owned(),
            hash: Sha256::new(),
            size,
            written: 0,
        })
    }

    fn make_room(&self, size: u64) -> io::Result<()> {
        let mut kept = Vec::new();
        let mut together = size;
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            // One that has just gone has made room.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            together += metadata.len();
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                kept.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        kept.sort_unstable();
        for (_, size, path) in kept {
            if together <= self.most {
                break;
            }
            // Who has it open reads on.
            std::fs::remove_file(path)?;
            together -= size;
        }
        Ok(())
    }
}

impl Incoming {
    /// Adds a piece.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.written += piece.len() as u64;
        if self.written > self.size {
            let message = format!(
                "it is longer than the {} bytes it was said to have",
                self.size
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        self.hash.update(piece);
        self.file.write_all(piece)
    }

    /// Keeps what was received, if it is what was wanted; gives it from its beginning.
    pub fn finish(mut self) -> io::Result<File> {
        let invalid = |message: String| Err(io::Error::new(io::ErrorKind::InvalidData, message));
        if self.written != self.size {
            let (written, size) = (self.written, self.size);
            return invalid(format!("it ends after {written} of {size} bytes"));
        }
        let real = base16(&std::mem::take(&mut self.hash).finalize());
        if real != self.wanted {
            return invalid(format!("its digest is sha256:{real}"));
        }
        self.file.sync_all()?;
        std::fs::rename(&self.staged, &self.place)?;
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(file)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // After a rename there is nothing of that name.
        let _ = std::fs::remove_file(&self.staged);
    }
}
