//! The history of runs without a master, kept by the same code as a master's, in a file of its own.
//!
//! A run is written down beside it, by a thread that waits for the disk: the run does not. What cannot be written is
//! a warning, and the run goes on without.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use sloth_workflow::event::Level;
use sloth_workflow::{Counts, Event, Outcome, Untrusted};

use super::master::{Ending, Error, Fresh, Run, Store, Submission};

/// Most events that wait for the thread. At 64 KiB of output each that is 16 MiB.
const WAITING: usize = 256;

/// How long runs are kept, and every how many runs the older ones go.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const SWEEP: u64 = 100;

/// What the thread is told.
enum Told {
    Begun(Box<Submission>),
    Happened(Fresh),
    Ended(Ending),
}

/// Writes runs down, one after the other. Dropping it waits until all of it is written.
#[derive(Debug)]
pub struct Recorder {
    sender: Option<SyncSender<Told>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Begins to write into a data folder. Returns at once.
    pub fn beneath(data: &Path) -> Self {
        let (sender, receiver) = sync_channel(WAITING);
        let data = data.to_owned();
        let thread = std::thread::spawn(move || {
            if let Err(why) = record(&data, &receiver) {
                tracing::warn!("this run is not in the history: {why}");
            }
            // Whatever still comes is taken and dropped, so that nobody waits.
            receiver.iter().for_each(drop);
        });
        Self {
            sender: Some(sender),
            thread: Some(thread),
        }
    }

    /// A run begins. What is told from now on is about it.
    pub fn begin(&self, submission: Submission) {
        let submission = Submission {
            request: Process::own().map_or_else(Vec::new, |process| process.text().into_bytes()),
            ..submission
        };
        self.tell(Told::Begun(Box::new(submission)));
    }

    pub fn happened(&self, event: &Event, time: SystemTime) {
        self.tell(Told::Happened(Fresh::of(event, time, None)));
    }

    /// The run has ended.
    pub fn end(&self, ending: Ending) {
        self.tell(Told::Ended(ending));
    }

    fn tell(&self, told: Told) {
        if let Some(sender) = &self.sender {
            // The thread takes what it is told until it is let go.
            let _ = sender.send(told);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn record(data: &Path, receiver: &Receiver<Told>) -> Result<(), Error> {
    // Nothing is opened for a program that comes to no run.
    let Ok(mut told) = receiver.recv() else {
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|_| Error::Defect("the recorder's runtime"))?;
    runtime.block_on(async {
        let store = Store::history(data)?;
        let mut run = String::new();
        let mut events = Vec::new();
        let mut sweep = false;
        loop {
            match told {
                Told::Happened(event) => events.push(event),
                Told::Begun(submission) => {
                    flush(&store, &run, &mut events).await?;
                    run.clone_from(&submission.id);
                    sweep |= store
                        .submit(*submission)
                        .await?
                        .sequence
                        .is_multiple_of(SWEEP);
                    store.begin(&run).await?;
                }
                Told::Ended(ending) => {
                    flush(&store, &run, &mut events).await?;
                    store.finish(&run, ending).await?;
                }
            }
            // What has come meanwhile is written together.
            let next = receiver.try_recv();
            if next.is_err() || events.len() >= WAITING {
                flush(&store, &run, &mut events).await?;
            }
            told = match next {
                Ok(next) => next,
                Err(TryRecvError::Empty) => match receiver.recv() {
                    Ok(next) => next,
                    Err(_) => break,
                },
                Err(TryRecvError::Disconnected) => break,
            };
        }
        if sweep {
            let now = SystemTime::now();
            store
                .prune(now.checked_sub(KEPT).unwrap_or(now), now)
                .await?;
        }
        Ok(())
    })
}

async fn flush(store: &Store, run: &str, events: &mut Vec<Fresh>) -> Result<(), Error> {
    if !events.is_empty() {
        store.append(run, std::mem::take(events)).await?;
    }
    Ok(())
}

/// Ends runs whose process is gone without a word: it was killed, or the machine went down. Nobody else would.
pub async fn settle(store: &Store) -> Result<(), Error> {
    for run in store.open_runs().await? {
        let detail = store.detail(&run.id).await?;
        let process = std::str::from_utf8(&detail.request).ok();
        if process
            .and_then(Process::from_text)
            .is_some_and(|process| process.is_alive())
        {
            continue;
        }
        let now = SystemTime::now();
        let lost = Event::Log {
            task: Untrusted::default(),
            level: Level::Error,
            message: "the process that ran this ended in the middle of it".into(),
        };
        // The key, so that two who look at once say it once.
        let lost = Fresh::of(&lost, now, None).once("lost");
        store.append(&run.id, vec![lost]).await?;
        store
            .finish(&run.id, lost_ending(store, &run, now).await?)
            .await?;
    }
    Ok(())
}

/// How a run ended that nobody ended: failed, with the steps that had ended counted.
async fn lost_ending(store: &Store, run: &Run, time: SystemTime) -> Result<Ending, Error> {
    let mut counts = Counts::default();
    for step in store.steps(&run.id).await? {
        counts.add(step.outcome.unwrap_or(Outcome::Failed));
    }
    Ok(Ending {
        outcome: Outcome::Failed,
        counts,
        outputs: Vec::new(),
        time,
    })
}

/// A process, told apart from a later one with the same number by when it started.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    id: u32,
    started: u64,
}

impl Process {
    fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the kernel's word on a process, not a step's path"
    )]
    fn of(id: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(PathBuf::from(format!("/proc/{id}/stat"))).ok()?;
        Some(Self {
            id,
            started: started(&stat)?,
        })
    }

    fn is_alive(&self) -> bool {
        Self::of(self.id).as_ref() == Some(self)
    }

    fn text(&self) -> String {
        format!("{} {}", self.id, self.started)
    }

    fn from_text(text: &str) -> Option<Self> {
        let (id, started) = text.split_once(' ')?;
        Some(Self {
            id: id.parse().ok()?,
            started: started.parse().ok()?,
        })
    }
}

/// Field 22 of /proc/PID/stat: when the process started, in ticks since the machine did. The second field is its name in
/// parentheses, which may hold anything (proc(5)).
fn started(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let stat =
            "4242 (a) b (c)) S 1 4242 4242 0 -1 4194560 950 0 0 0 1 2 0 0 20 0 1 0 123456 7 8 9";
        assert_eq!(started(stat), Some(123_456));
        assert_eq!(started("4242 (x) S 1"), None);
    }

    #[test]
    fn this_process_is_alive_and_one_that_had_its_number_before_is_not() {
        let own = Process::own().unwrap();
        assert_eq!(Process::from_text(&own.text()).as_ref(), Some(&own));
        assert!(own.is_alive());
        let earlier = Process {
            started: own.started - 1,
            ..own
        };
        assert!(!earlier.is_alive());
        assert_eq!(Process::from_text("x"), None);
    }
}
