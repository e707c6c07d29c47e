//! Writing the audit. What is noted goes out every 100 ms and when a step ends; what is committed goes out
//! at once with all before it, and several commits at a time share one sync.
//!
//! Who notes waits for nobody: what waits to be written and the writing itself are held apart, and the lock
//! between processes is only ever waited for by who writes.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use sloth_sandbox::ports::audit::{Audit, Head, Record};

use super::chain::{End, Line};
use super::files::{Files, tail};

/// How long a note waits at most.
const EVERY: Duration = Duration::from_millis(100);
/// Most notes that wait for a disk that takes none, or not as fast as they come.
const MOST_WAITING: usize = 10_000;
/// So many go out at once.
const MANY_WAITING: usize = MOST_WAITING / 4;
/// How long the file that says where the chain ends stays behind at most, while there is nothing to commit.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// A file of this many bytes is full.
const FULL: u64 = 16 << 20;

/// An audit in a folder. Several processes may write one.
pub struct Log {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    files: Files,
    full: u64,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Taken before `queue` where both are.
    writing: Mutex<Writing>,
    synced: Mutex<Synced>,
}

/// How much of what was written is on the disk.
#[derive(Default)]
struct Synced {
    /// Counted as `Writing::written`.
    written: u64,
    /// Where the chain ends there.
    end: End,
}

/// What waits to be written. Never held while anything is waited for.
#[derive(Default)]
struct Queue {
    waiting: Vec<Line>,
    /// Notes that were not kept, because too many waited.
    lost: u64,
    over: bool,
}

#[derive(Default)]
struct Writing {
    current: Option<Current>,
    /// How often something was written.
    written: u64,
    /// When the chain's end was last put on record.
    marked: Option<Instant>,
}

/// The file being written, and where the chain ends in it.
struct Current {
    file: Arc<File>,
    length: u64,
    end: End,
}

impl Current {
    /// Writes lines that end the chain at `end`, all of them or none.
    fn append(&mut self, text: &str, end: End) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let kept = (&*self.file).write_all(text.as_bytes());
        if kept.is_err() {
            // A full disk must not leave half a line; if it does, the next writer cuts it off.
            let _ = self.file.set_len(self.length);
        }
        kept?;
        self.length += text.len() as u64;
        self.end = end;
        Ok(())
    }
}

impl Log {
    /// Opens the audit in a folder, made if missing for this account alone. A line that was torn when
    /// its writer was killed is cut off, and that is put on record.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Self::filling(folder, FULL)
    }

    /// As [`open`](Self::open), with files of another size.
    pub fn filling(folder: &Path, full: u64) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            files: Files::make(folder)?,
            full,
            queue: Mutex::default(),
            wake: Condvar::new(),
            writing: Mutex::default(),
            synced: Mutex::default(),
        });
        shared.write_out(&mut shared.writing(), None)?;
        let begins = (shared.writing().current.as_ref()).is_some_and(|now| now.end.number == 0);
        if begins {
            shared.files.mark(&End::default())?;
        }
        let writing = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || writing.keep_writing())?;
        Ok(Self {
            shared,
            writer: Some(writer),
        })
    }
}

impl Audit for Log {
    fn note(&self, record: Record) {
        let mut queue = self.shared.queue();
        if queue.waiting.len() >= MOST_WAITING {
            queue.lost += 1;
            return;
        }
        queue.waiting.push(Line::of(&record));
        let waiting = queue.waiting.len();
        drop(queue);
        if waiting == 1 || waiting == MANY_WAITING {
            self.shared.wake.notify_one();
        }
    }

    fn commit(&self, record: Record) -> io::Result<u64> {
        self.put(Line::of(&record))
    }

    fn flush(&self) {
        if let Err(error) = self.shared.write_out(&mut self.shared.writing(), None) {
            tracing::warn!(%error, "the audit cannot be written");
        }
    }

    fn head(&self) -> Option<Head> {
        self.shared.synced().end.head()
    }
}

impl Log {
    /// Writes a line with all that waits before it, and gives its number once it is on the disk.
    pub(super) fn put(&self, line: Line) -> io::Result<u64> {
        let (number, written) = {
            let mut writing = self.shared.writing();
            self.shared.write_out(&mut writing, Some(line))?;
            let current = writing.current.as_ref();
            (
                current.map_or(0, |current| current.end.number),
                writing.written,
            )
        };
        self.shared.sync(written)?;
        Ok(number)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.queue().over = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        self.flush();
        self.shared.mark();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn synced(&self) -> MutexGuard<'_, Synced> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_writing(&self) {
        loop {
            let mut queue = self.queue();
            while queue.waiting.is_empty() && !queue.over {
                let (woken, late) = (self.wake)
                    .wait_timeout(queue, MARK_EVERY)
                    .unwrap_or_else(PoisonError::into_inner);
                queue = woken;
                if late.timed_out() && queue.waiting.is_empty() && !queue.over {
                    drop(queue);
                    self.mark();
                    queue = self.queue();
                }
            }
            let collecting = |queue: &mut Queue| queue.waiting.len() < MANY_WAITING && !queue.over;
            let (queue, _) = (self.wake)
                .wait_timeout_while(queue, EVERY, collecting)
                .unwrap_or_else(PoisonError::into_inner);
            if queue.over {
                return;
            }
            drop(queue);
            let mut writing = self.writing();
            // An error stands until the disk takes what waits; commits tell of it meanwhile.
            if self.write_out(&mut writing, None).is_err() {
                drop(writing);
                std::thread::sleep(EVERY);
                continue;
            }
            let due = writing
                .marked
                .is_none_or(|marked| marked.elapsed() >= MARK_EVERY);
            drop(writing);
            if due {
                self.mark();
            }
        }
    }

    /// Writes all that waits, and a line behind it. On an error nothing of it is written, and what waited
    /// goes on waiting.
    fn write_out(&self, writing: &mut Writing, behind: Option<Line>) -> io::Result<()> {
        if behind.is_none() && writing.current.is_some() && self.queue().waiting.is_empty() {
            return Ok(());
        }
        let _lock = self.files.lock(FlockOperation::LockExclusive)?;
        let mut text = String::new();
        let mut current = self.catch_up(writing.current.take(), &mut text)?;
        let mut end = current.end.clone();
        let (lines, lost) = {
            let mut queue = self.queue();
            (
                std::mem::take(&mut queue.waiting),
                std::mem::take(&mut queue.lost),
            )
        };
        // In their place: behind what was kept before too many waited.
        let told = (lost > 0).then(|| {
            let what =
                format!("{lost} records were not kept: more came than the disk took in that time");
            Line::own("lost", what)
        });
        let sealed = (lines.iter().cloned().chain(told).chain(behind))
            .try_for_each(|line| line.seal(&mut end, &mut text))
            .map_err(io::Error::from)
            .and_then(|()| current.append(&text, end));
        writing.current = Some(current);
        if let Err(error) = sealed {
            let mut queue = self.queue();
            queue.lost += lost;
            let since = std::mem::replace(&mut queue.waiting, lines);
            queue.waiting.extend(since);
            return Err(error);
        }
        writing.written += 1;
        Ok(())
    }

    /// The current file as it is now: another process may have written it or put it away. What was cut
    /// off or is gone is told in `text`, which is written next.
    fn catch_up(&self, known: Option<Current>, text: &mut String) -> io::Result<Current> {
        if let Some(known) = known
            && let Ok(now) = std::fs::metadata(self.files.current())
            && let Ok(ours) = known.file.metadata()
            && (now.dev(), now.ino()) == (ours.dev(), ours.ino())
            && now.len() == known.length
            && known.length < self.full
        {
            return Ok(known);
        }
        let mut file = self.files.open()?;
        let mut found = tail(&mut file)?;
        let mut lost = Vec::new();
        if found.torn > 0 {
            file.set_len(found.whole)?;
            lost.push(format!(
                "a record was torn when its writer ended: {} bytes of it were cut off",
                found.torn
            ));
        }
        if found.whole >= self.full
            && let Some(end) = &found.end
        {
            file.sync_data()?;
            self.files.put_away(self.first(end)?)?;
            let end = found.end.take();
            file = self.files.open()?;
            found.whole = 0;
            found.end = end;
        }
        let mut end = match found.end {
            Some(end) => end,
            None if found.whole == 0 => self.files.last_full()?,
            // A last line that is none: the chain goes on behind what can be read of it, and `verify`
            // names the place.
            None => End::default(),
        };
        if let Some(should) = self.files.end()?
            && should.number > end.number
        {
            lost.push(format!(
                "records {} to {} are gone from the end of the audit",
                end.number + 1,
                should.number
            ));
            end.number = should.number;
        }
        let length = found.whole;
        for what in lost {
            Line::own("recovered", what).seal(&mut end, text)?;
        }
        Ok(Current {
            file: Arc::new(file),
            length,
            end,
        })
    }

    /// The number of the current file's first record.
    fn first(&self, last: &End) -> io::Result<u64> {
        let lines = super::files::lines(&self.files.current())?;
        let count = lines.count() as u64;
        Ok((last.number + 1).saturating_sub(count))
    }

    /// Returns once what was written as `written` is on the disk. Who comes while another syncs shares
    /// the next sync with all who came meanwhile.
    fn sync(&self, written: u64) -> io::Result<()> {
        let mut synced = self.synced();
        if synced.written >= written {
            return Ok(());
        }
        let (current, now) = {
            let writing = self.writing();
            let current = writing.current.as_ref();
            let current = current.map(|current| (Arc::clone(&current.file), current.end.clone()));
            (current, writing.written)
        };
        if let Some((file, end)) = current {
            file.sync_data()?;
            // After the lines are on the disk, whatever ends this machine: a chain that was cut off there
            // ends behind what is said of it, never before.
            self.files.mark(&end)?;
            synced.end = end;
        }
        synced.written = now;
        self.writing().marked = Some(Instant::now());
        Ok(())
    }

    /// Puts the chain's end on record, with what was only noted.
    fn mark(&self) {
        let written = self.writing().written;
        if let Err(error) = self.sync(written) {
            tracing::warn!(%error, "the audit cannot be written");
        }
    }
}
