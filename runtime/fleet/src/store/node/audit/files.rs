//! The files of an audit: the current one, those that are full, where the chain should end, and the lock
//! that keeps two processes apart.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use sloth_policy::bytes_of;
use sloth_workflow::value::base16;

use super::chain::{End, Sealed};

const CURRENT: &str = "audit.jsonl";
const END: &str = "end";
const LOCK: &str = "lock";
/// No line is longer: its texts are bounded, and each byte of them takes six at most.
pub(super) const LONGEST_LINE: u64 = 256 << 10;

/// How long another process is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

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

/// Lines, each with whether it is whole.
type Lines = dyn Iterator<Item = io::Result<(String, bool)>>;

/// An audit at one moment.
pub(super) struct Now {
    /// Full files, oldest first.
    full: Vec<PathBuf>,
    /// The file that is written, and how long it was.
    current: Option<(u64, File)>,
    pub(super) path: PathBuf,
    pub(super) end: Option<End>,
}

impl Now {
    /// The files in the chain's order.
    pub(super) fn files(&self) -> impl DoubleEndedIterator<Item = &Path> {
        let current = self.current.is_some().then_some(&self.path);
        self.full.iter().chain(current).map(PathBuf::as_path)
    }

    /// The lines of one of them.
    pub(super) fn lines(&self, path: &Path) -> io::Result<Box<Lines>> {
        match &self.current {
            Some((length, file)) if path == self.path => {
                let mut file = file.try_clone()?;
                file.rewind()?;
                Ok(Box::new(lines_of(file.take(*length))))
            }
            _ => Ok(Box::new(lines(path)?)),
        }
    }

    /// The number of a file's first record.
    pub(super) fn first_of(&self, path: &Path) -> io::Result<Option<u64>> {
        let line = self.lines(path)?.next().transpose()?;
        Ok(line.and_then(|(line, _)| Some(Sealed::read(&line)?.end.number)))
    }

    /// Whether the first record of all is there, or none at all.
    pub(super) fn begins(&self) -> io::Result<bool> {
        let Some(first) = self.files().next() else {
            return Ok(true);
        };
        Ok(self.first_of(first)?.is_none_or(|number| number <= 1))
    }
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

    /// What says where the chain ends.
    pub(super) fn mark_file(&self) -> PathBuf {
        self.folder.join(END)
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

    /// Waits for the other processes that write here, and keeps them out until it is dropped. Nobody
    /// keeps it for longer than a few writes take, so that whoever does is at fault and is told of.
    pub(super) fn lock(&self, how: FlockOperation) -> io::Result<File> {
        let now = match how {
            FlockOperation::LockShared => FlockOperation::NonBlockingLockShared,
            _ => FlockOperation::NonBlockingLockExclusive,
        };
        let begun = Instant::now();
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.folder.join(LOCK))?;
        let mut pause = Duration::from_micros(100);
        loop {
            match flock(&lock, now) {
                Ok(()) => return Ok(lock),
                Err(error) if error != rustix::io::Errno::WOULDBLOCK => return Err(error.into()),
                Err(_) if begun.elapsed() > LONGEST_WAIT => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!(
                            "another process has held {} for {} seconds; `fuser` names it",
                            self.folder.join(LOCK).display(),
                            LONGEST_WAIT.as_secs()
                        ),
                    ));
                }
                Err(_) => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    /// The audit as it is now, for reading without keeping anybody from writing.
    pub(super) fn now(&self) -> io::Result<Now> {
        let _lock = self.lock(FlockOperation::LockShared)?;
        self.held()
    }

    /// As [`now`](Self::now), for who holds the lock.
    pub(super) fn held(&self) -> io::Result<Now> {
        let current = match File::open(self.current()) {
            Ok(file) => Some((file.metadata()?.len(), file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let path = self.current();
        let mut full = self.all()?;
        full.retain(|file| *file != path);
        Ok(Now {
            full,
            current,
            path,
            end: self.end()?,
        })
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

    /// Puts the current file away under its first record's number.
    pub(super) fn put_away(&self, first: u64) -> io::Result<()> {
        let name = format!("audit-{first:020}.jsonl");
        fs::rename(self.current(), self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Where the chain ended when it was last written.
    pub(super) fn end(&self) -> io::Result<Option<End>> {
        let text = match fs::read_to_string(self.mark_file()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let read = text.trim_end().split_once(' ').and_then(|(number, hash)| {
            Some(End {
                number: number.parse().ok()?,
                hash: bytes_of(hash)?,
            })
        });
        Ok(read)
    }

    /// Puts on record where the chain ends, unless another process has put a later end there.
    pub(super) fn mark(&self, end: &End) -> io::Result<()> {
        let is_later = |there: Option<End>| there.is_some_and(|there| there.number >= end.number);
        if is_later(self.end()?) {
            return Ok(());
        }
        let mark = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.mark_file())?;
        // Two that look before either has written would go back.
        flock(&mark, FlockOperation::LockExclusive)?;
        if is_later(self.end()?) {
            return Ok(());
        }
        mark.write_all_at(written(end).as_bytes(), 0)
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
    Ok(lines_of(File::open(path)?))
}

fn lines_of(file: impl Read) -> impl Iterator<Item = io::Result<(String, bool)>> {
    let mut reader = BufReader::new(file);
    std::iter::from_fn(move || {
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
    })
}
