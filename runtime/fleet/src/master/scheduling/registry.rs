//! Who has a session now, and the way down to each.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sloth_policy::Policy;
use sloth_workflow::placement::Agent;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::wire::generated::Downward;

/// Frames that wait for one agent at most; more, and it is too slow to be given work.
const WAITING: usize = 1024;

/// Calls that are out at one agent at most; others wait their turn here, where there is room.
const OUT: usize = 1000;

/// How long one frame waits for room.
const ROOM: Duration = Duration::from_secs(5);

/// The sessions of a master, by the name that each has proved.
#[derive(Debug)]
pub(crate) struct Registry {
    lines: Mutex<HashMap<String, Line>>,
    /// The agents that are given no more work.
    drained: Mutex<HashSet<String>>,
    /// Changes whenever a line comes or goes.
    changed: watch::Sender<u64>,
    next: AtomicU64,
}

/// The way down to one agent, for as long as its session lasts.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Tells one session of a name from the next.
    pub(crate) session: u64,
    pub(crate) sign: Arc<Sign>,
    /// None of an operator's own machine.
    pub(crate) about: Option<Arc<About>>,
    pub(crate) journal: String,
    /// The process at the other end.
    pub(crate) instance: String,
    /// Whether it took the name from a session of another process that had not ended.
    contested: bool,
    down: mpsc::Sender<Downward>,
    /// How many calls more it may be given.
    pub(crate) room: Arc<Semaphore>,
    /// The calls that the agent had begun when the session did, and whose end it had still to deliver.
    open: Arc<HashSet<(String, u64)>>,
    /// Dropped with the line, which ends the session.
    _end: Arc<oneshot::Sender<()>>,
}

/// What secrets are held against before an agent is given them.
#[derive(Debug)]
pub(crate) struct About {
    /// By its name and the labels of its token: nothing here rests on its own word.
    pub(crate) agent: Agent,
    /// What it says that it grants; none that can be read, and nothing is.
    pub(crate) policy: Policy,
}

/// What an agent last said of itself.
#[derive(Debug)]
pub(crate) struct Sign {
    /// Milliseconds since 1970.
    seen: AtomicU64,
    running: AtomicU32,
}

/// A session's own end of its line. Dropping it takes the line away.
pub(crate) struct Place {
    registry: Arc<Registry>,
    name: String,
    session: u64,
    pub(crate) sign: Arc<Sign>,
    /// What is to be sent down.
    pub(crate) down: mpsc::Receiver<Downward>,
    /// Ends when another session takes the name, or the agent is removed.
    pub(crate) ended: oneshot::Receiver<()>,
}

impl Registry {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            lines: Mutex::default(),
            drained: Mutex::default(),
            changed: watch::Sender::new(0),
            next: AtomicU64::new(1),
        })
    }

    /// Puts a session in its name's place. One that was there ends.
    pub(crate) fn open(
        self: &Arc<Self>,
        name: &str,
        (journal, instance): (&str, &str),
        open: HashSet<(String, u64)>,
        about: Option<About>,
    ) -> Place {
        let session = self.next.fetch_add(1, Ordering::Relaxed);
        let (down, receiver) = mpsc::channel(WAITING);
        let (end, ended) = oneshot::channel();
        let sign = Arc::new(Sign {
            seen: AtomicU64::new(0),
            running: AtomicU32::new(0),
        });
        sign.note(0);
        let mut lines = self.lines();
        let before = lines.get(name);
        let contested = before.is_some_and(|before| before.instance != instance);
        if contested {
            tracing::warn!(agent = name, "another process has come in its name");
        }
        let line = Line {
            session,
            sign: Arc::clone(&sign),
            about: about.map(Arc::new),
            journal: journal.to_owned(),
            instance: instance.to_owned(),
            contested,
            down,
            room: Arc::new(Semaphore::new(OUT)),
            open: Arc::new(open),
            _end: Arc::new(end),
        };
        lines.insert(name.to_owned(), line);
        drop(lines);
        self.tell();
        Place {
            registry: Arc::clone(self),
            name: name.to_owned(),
            session,
            sign,
            down: receiver,
            ended,
        }
    }

    /// The line to an agent, if it has a session.
    pub(crate) fn line(&self, name: &str) -> Option<Line> {
        self.lines().get(name).cloned()
    }

    /// The agents that have a session, and its number. Operators' own machines are none.
    pub(crate) fn sessions(&self) -> HashMap<String, u64> {
        let lines = self.lines();
        let agents = lines.iter().filter(|(name, _)| !name.contains('/'));
        agents
            .map(|(name, line)| (name.clone(), line.session))
            .collect()
    }

    /// The name of the session that said that it has this journal.
    pub(crate) fn of_journal(&self, journal: &str) -> Option<String> {
        let lines = self.lines();
        let mut named = lines.iter().filter(|(_, line)| line.journal == journal);
        named.next().map(|(name, _)| name.clone())
    }

    /// Ends an agent's session.
    pub(crate) fn close(&self, name: &str) {
        self.lines().remove(name);
        self.tell();
    }

    /// Gives an agent no more work, or work again.
    pub(crate) fn drain(&self, name: &str, drained: bool) {
        let mut all = self.drained.lock().unwrap_or_else(PoisonError::into_inner);
        if drained {
            all.insert(name.to_owned());
        } else {
            all.remove(name);
        }
        drop(all);
        self.tell();
    }

    /// Whether an agent is given no more work.
    pub(crate) fn is_drained(&self, name: &str) -> bool {
        let all = self.drained.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains(name)
    }

    /// Wakes whenever a line comes or goes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Wakes whoever waits for a change.
    pub(crate) fn tell(&self) {
        self.changed.send_modify(|change| *change += 1);
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<String, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Sends a frame down. False when the session is over, or takes in nothing.
    pub(crate) fn send(&self, frame: Downward) -> bool {
        self.down.try_send(frame).is_ok()
    }

    /// Sends a frame down, waiting a moment for room. False when the session is over or takes in nothing; then it is
    /// as good as over.
    pub(crate) async fn give(&self, frame: Downward) -> bool {
        self.down.send_timeout(frame, ROOM).await.is_ok()
    }

    /// Whether it took the name from a process that may still be at work. What that one was given, this one does not
    /// know of, even if its journal has the same name: the folder may have been copied.
    pub(crate) fn is_double_of(&self, instance: &str) -> bool {
        self.contested && self.instance != instance
    }

    /// Whether the agent had the call when the session began.
    pub(crate) fn has(&self, run: &str, call: u64) -> bool {
        self.open.contains(&(run.to_owned(), call))
    }
}

impl Sign {
    /// The agent has just been heard.
    pub(crate) fn note(&self, running: u32) {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.seen.store(now, Ordering::Relaxed);
        self.running.store(running, Ordering::Relaxed);
    }

    /// How many calls it said it was at.
    pub(crate) fn running(&self) -> u32 {
        self.running.load(Ordering::Relaxed)
    }

    /// When it was last heard.
    pub(crate) fn seen(&self) -> SystemTime {
        let seen = self.seen.load(Ordering::Relaxed);
        SystemTime::UNIX_EPOCH + Duration::from_millis(seen)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.registry.lines();
        // Another session may have taken the name.
        if lines
            .get(&self.name)
            .is_some_and(|line| line.session == self.session)
        {
            lines.remove(&self.name);
        }
        drop(lines);
        self.registry.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_session_of_a_name_ends_the_first_and_outlives_it() {
        let registry = Registry::new();
        let first = registry.open("a", ("j", "i"), HashSet::new(), None);
        let second = registry.open("a", ("j", "i"), [("r".to_owned(), 7)].into(), None);
        drop(first);
        let line = registry.line("a").expect("the second one's");
        assert_eq!(line.session, second.session);
        assert!(line.has("r", 7) && !line.has("r", 8));
        drop(second);
        assert!(registry.line("a").is_none());
    }

    #[tokio::test]
    async fn one_that_takes_in_nothing_is_sent_nothing_more() {
        let registry = Registry::new();
        let place = registry.open("a", ("j", "i"), HashSet::new(), None);
        let line = registry.line("a").unwrap();
        let sent = (0..=WAITING)
            .take_while(|_| line.send(Downward::default()))
            .count();
        assert_eq!(sent, WAITING);
        drop(place);
        assert!(!line.send(Downward::default()));
    }

    #[tokio::test]
    async fn who_takes_a_name_from_a_process_at_work_is_its_double_and_who_dials_again_is_not() {
        let registry = Registry::new();
        let open = |instance| registry.open("a", ("j", instance), HashSet::new(), None);
        let is_double = || registry.line("a").unwrap().is_double_of("first");
        let first = open("first");
        let again = open("first");
        assert!(!is_double());
        let other = open("other");
        assert!(is_double());
        drop((first, again, other));
        let _started_again = open("third");
        assert!(!is_double(), "what was there had ended");
    }

    #[tokio::test]
    async fn closing_ends_the_session() {
        let registry = Registry::new();
        let mut changes = registry.changes();
        let mut place = registry.open("a", ("j", "i"), HashSet::new(), None);
        changes.changed().await.unwrap();
        registry.close("a");
        assert!((&mut place.ended).await.is_err());
    }
}
