//! Writing the audit. What is noted goes out every 100 ms and when a step ends; what is committed goes out
//! at once with all before it, and several commits at a time share one sync.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::FlockOperation;
use sloth_sandbox::ports::audit::{Audit, Record};

use super::chain::{End, Line};
use super::files::{Files, tail, written};

/// How long a note waits at most.
const EVERY: Duration = Duration::from_millis(100);
/// Most notes that wait for a disk that takes none.
const MOST_WAITING: usize = 10_000;
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
    state: Mutex<State>,
    wake: Condvar,
    /// How much of what was written is on the disk, counted as `State::written`.
    synced: Mutex<u64>,
}

struct State {
    waiting: Vec<Line>,
    /// Notes that were not kept, because too many waited.
    lost: u64,
    current: Option<Current>,
    /// How often something was written.
    written: u64,
    over: bool,
}

/// The file being written, and where the chain ends in it.
struct Current {
    file: Arc<File>,
    /// Of the end's own file.
    mark: File,
    length: u64,
    end: End,
}

impl Current {
    /// Writes lines that end the chain at `end`, all of them or none.
    fn append(&mut self, text: &str, end: End) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let kept = (&*self.file).write_all(text.as_bytes()).and_then(|()| {
            // After the line itself: a crash in between leaves an end that is behind, never ahead.
            self.mark.write_all_at(written(&end).as_bytes(), 0)
        });
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
            state: Mutex::new(State {
                waiting: Vec::new(),
                lost: 0,
                current: None,
                written: 0,
                over: false,
            }),
            wake: Condvar::new(),
            synced: Mutex::new(0),
        });
        shared.write_out(&mut shared.state())?;
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
        let mut state = self.shared.state();
        if state.waiting.len() >= MOST_WAITING {
            state.lost += 1;
            return;
        }
        state.waiting.push(Line::of(&record));
        self.shared.wake.notify_one();
    }

    fn commit(&self, record: Record) -> io::Result<u64> {
        self.put(Line::of(&record))
    }

    fn settle(&self) {
        if let Err(error) = self.shared.write_out(&mut self.shared.state()) {
            tracing::warn!(%error, "the audit cannot be written");
        }
    }
}

impl Log {
    /// Writes a line with all that waits before it, and gives its number once it is on the disk.
    pub(super) fn put(&self, line: Line) -> io::Result<u64> {
        let (number, written) = {
            let mut state = self.shared.state();
            state.waiting.push(line);
            if let Err(error) = self.shared.write_out(&mut state) {
                // What is not done is not on record either.
                state.waiting.pop();
                return Err(error);
            }
            let end = state
                .current
                .as_ref()
                .map_or(0, |current| current.end.number);
            (end, state.written)
        };
        self.shared.sync(written)?;
        Ok(number)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        self.settle();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_writing(&self) {
        let mut state = self.state();
        while !state.over {
            if state.waiting.is_empty() {
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(state);
            std::thread::sleep(EVERY);
            state = self.state();
            // An error stands until the disk takes what waits; commits tell of it meanwhile.
            let _ = self.write_out(&mut state);
        }
    }

    /// Writes all that waits. On an error nothing of it is written, and it goes on waiting.
    fn write_out(&self, state: &mut State) -> io::Result<()> {
        if state.waiting.is_empty() && state.current.is_some() {
            return Ok(());
        }
        let _lock = self.files.lock(FlockOperation::LockExclusive)?;
        let mut text = String::new();
        let mut current = self.catch_up(state.current.take(), &mut text)?;
        let mut end = current.end.clone();
        let mut lines = std::mem::take(&mut state.waiting);
        if state.lost > 0 {
            let lost = state.lost;
            let what = format!("{lost} records were not kept, because the disk took none");
            // In their place: before what was kept last.
            let at = lines.len().saturating_sub(1);
            lines.insert(at, Line::own("lost", what));
        }
        let sealed = lines
            .iter()
            .try_for_each(|line| line.clone().seal(&mut end, &mut text))
            .map_err(io::Error::from)
            .and_then(|()| current.append(&text, end));
        state.current = Some(current);
        match sealed {
            Ok(()) => {
                state.lost = 0;
                state.written += 1;
                Ok(())
            }
            Err(error) => {
                if state.lost > 0 {
                    let at = lines.len().saturating_sub(2);
                    lines.remove(at);
                }
                state.waiting = lines;
                Err(error)
            }
        }
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
            mark: self.files.end_file()?,
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
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= written {
            return Ok(());
        }
        let (file, now) = {
            let state = self.state();
            let file = state
                .current
                .as_ref()
                .map(|current| Arc::clone(&current.file));
            (file, state.written)
        };
        if let Some(file) = file {
            file.sync_data()?;
        }
        *synced = now;
        Ok(())
    }
}
