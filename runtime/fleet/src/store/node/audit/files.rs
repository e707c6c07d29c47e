//! The files of an audit: the current one, those that are full, where the chain should end, and the lock
//! that keeps two processes apart.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sloth_workflow::value::base16;

use super::chain::{End, Sealed, bytes};

const CURRENT: &str = "audit.jsonl";
const END: &str = "end";
const LOCK: &str = "lock";
/// No line is longer: its texts are bounded, and each byte of them takes six at most.
const LONGEST_LINE: u64 = 256 << 10;

/// The folder of an audit.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) folder: PathBuf,
}

/// What the end of a file holds.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Of the last whole line, if there is one.
    pub(super) end: Option<End>,
    /// Bytes up to and with that line.
    pub(super) whole: u64,
    /// Bytes after it: a line that was being written when its writer ended.
    pub(super) torn: u64,
}

impl Files {
    pub(super) fn make(folder: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    pub(super) fn current(&self) -> PathBuf {
        self.folder.join(CURRENT)
    }

    /// Opens the current file for appending, made if missing.
    pub(super) fn open(&self) -> io::Result<File> {
        File::options()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.current())
    }

    /// Waits for the other processes that write here, and keeps them out until it is dropped.
    pub(super) fn lock(&self, how: FlockOperation) -> io::Result<File> {
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.folder.join(LOCK))?;
        flock(&lock, how)?;
        Ok(lock)
    }

    /// The files in the chain's order, the current one last.
    pub(super) fn all(&self) -> io::Result<Vec<PathBuf>> {
        let mut full = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("audit-") && name.ends_with(".jsonl") {
                full.push(self.folder.join(&*name));
            }
        }
        // Their numbers are padded, so that they sort as they count.
        full.sort_unstable();
        if self.current().exists() {
            full.push(self.current());
        }
        Ok(full)
    }

    /// Whether the first record of all is there, or none at all.
    pub(super) fn begins(&self) -> io::Result<bool> {
        let Some(first) = self.all()?.into_iter().next() else {
            return Ok(true);
        };
        Ok(first_of(&first)?.is_none_or(|number| number <= 1))
    }

    /// Puts the current file away under its first record's number.
    pub(super) fn put_away(&self, first: u64) -> io::Result<()> {
        let name = format!("audit-{first:020}.jsonl");
        fs::rename(self.current(), self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Where the chain ended when it was last written.
    pub(super) fn end(&self) -> io::Result<Option<End>> {
        let text = match fs::read_to_string(self.folder.join(END)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let read = text.trim_end().split_once(' ').and_then(|(number, hash)| {
            Some(End {
                number: number.parse().ok()?,
                hash: bytes(hash)?,
            })
        });
        Ok(read)
    }

    /// The file that says where the chain ends.
    pub(super) fn end_file(&self) -> io::Result<File> {
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.folder.join(END))
    }

    /// What stands at the end of the newest file that holds a record.
    pub(super) fn last_full(&self) -> io::Result<End> {
        let current = self.current();
        for path in self.all()?.iter().rev().filter(|path| **path != current) {
            if let Some(end) = tail(&mut File::open(path)?)?.end {
                return Ok(end);
            }
        }
        Ok(End::default())
    }
}

/// The number of a file's first record.
pub(super) fn first_of(path: &Path) -> io::Result<Option<u64>> {
    let line = lines(path)?.next().transpose()?;
    Ok(line.and_then(|(line, _)| Some(Sealed::read(&line)?.end.number)))
}

/// The text of `end`'s file: as long each time, so that it is written over in one step.
pub(super) fn written(end: &End) -> String {
    format!("{:020} {}\n", end.number, base16(&end.hash))
}

/// Looks at the end of a file.
pub(super) fn tail(file: &mut File) -> io::Result<Tail> {
    let length = file.seek(SeekFrom::End(0))?;
    // The line before a torn one must fit as well.
    let from = length.saturating_sub(LONGEST_LINE * 2);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LONGEST_LINE * 2).read_to_end(&mut bytes)?;
    let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        return Ok(Tail {
            end: None,
            whole: from,
            torn: length - from,
        });
    };
    let start = bytes[..last]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let line = String::from_utf8_lossy(&bytes[start..last]);
    let whole = from + last as u64 + 1;
    Ok(Tail {
        end: Sealed::read(&line).map(|sealed| sealed.end),
        whole,
        torn: length - whole,
    })
}

/// The lines of a file, each with whether it is whole. Bytes that are not UTF-8 are replaced, which breaks
/// a seal as any other change does.
pub(super) fn lines(
    path: &Path,
) -> io::Result<impl Iterator<Item = io::Result<(String, bool)>> + use<>> {
    let mut reader = BufReader::new(File::open(path)?);
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        match (&mut reader)
            .take(LONGEST_LINE * 4)
            .read_until(b'\n', &mut line)
        {
            Ok(0) => None,
            Ok(_) => {
                let whole = line.last() == Some(&b'\n');
                if whole {
                    line.pop();
                }
                Some(Ok((String::from_utf8_lossy(&line).into_owned(), whole)))
            }
            Err(error) => Some(Err(error)),
        }
    }))
}
