//! Whether agents answer where they say they can be reached, asked of those that say so: soon after they come, and then
//! every minute. An agent chooses the address, so not much is done there: one handshake at a time for each agent, no
//! two within ten seconds, few at once, and nothing that tells who answers more than that a master asked.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Core;
use crate::pki::{self, Authority, Clock, Credential, MASTER, Role, Subject};
use crate::wire::client::{Address, own_port};

/// How often an agent is asked.
const EVERY: Duration = Duration::from_mins(1);
/// How long an agent is left alone at least, however often it comes.
const PAUSE: Duration = Duration::from_secs(10);
/// How soon one that has come is asked: its own port may not listen yet.
const SOON: Duration = Duration::from_secs(1);
/// How often it is looked at who is to be asked.
const TICK: Duration = Duration::from_millis(500);
/// Most that are asked at once.
const AT_ONCE: usize = 32;
/// Longest reason that is kept, in bytes.
const LONGEST: usize = 300;

/// What came of asking an agent the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probed {
    /// Where.
    pub(super) address: String,
    pub(super) time: SystemTime,
    /// Why it was not reached; none if it was.
    pub(super) problem: Option<String>,
}

/// What came of it for each agent that has a session.
#[derive(Debug, Default)]
pub(super) struct Probes(Mutex<HashMap<String, Probed>>);

impl Probes {
    /// What came of asking an agent at this address; none where nobody has asked there.
    pub(super) fn of(&self, agent: &str, address: &str) -> Option<Probed> {
        let probed = self.all().get(agent).cloned();
        probed.filter(|probed| probed.address == address)
    }

    fn note(&self, agent: &str, probed: Probed) {
        self.all().insert(agent.to_owned(), probed);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Probed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When an agent is asked next.
struct Turn {
    /// The session that it has.
    session: u64,
    /// The session that it had when it was asked last.
    asked: u64,
    due: Instant,
    last: Option<Instant>,
    /// The task that asks it now.
    busy: Option<Id>,
}

impl Turn {
    /// The agent has come with a session of this number.
    fn came(&mut self, session: u64, now: Instant) {
        self.session = session;
        let rested = self.last.map_or(now, |last| last + PAUSE);
        self.due = (now + spread(SOON)).max(rested);
    }

    /// It was asked.
    fn done(&mut self, now: Instant) {
        self.busy = None;
        self.due = now
            + if self.session == self.asked {
                spread(EVERY)
            } else {
                PAUSE
            };
    }
}

/// Asks agents for as long as this is awaited.
pub(super) async fn probe_all(core: Arc<Core>, authority: Arc<Authority>, clock: Clock) {
    let mut own = None;
    let mut turns: HashMap<String, Turn> = HashMap::new();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(done) = under_way.join_next_with_id() => {
                let id = match &done {
                    Ok((id, ())) => *id,
                    Err(defect) => defect.id(),
                };
                if let Some(turn) = turns.values_mut().find(|turn| turn.busy == Some(id)) {
                    turn.done(Instant::now());
                }
                continue;
            }
            _ = ticks.tick() => {}
        }
        let now = Instant::now();
        let sessions = core.registry.sessions();
        turns.retain(|name, turn| turn.busy.is_some() || sessions.contains_key(name));
        core.probes
            .all()
            .retain(|name, _| sessions.contains_key(name));
        for (name, session) in sessions {
            let turn = turns.entry(name.clone()).or_insert_with(|| Turn {
                session: 0,
                asked: 0,
                due: now,
                last: None,
                busy: None,
            });
            if turn.session != session {
                turn.came(session, now);
            }
            if turn.busy.is_some() || turn.due > now {
                continue;
            }
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                break;
            };
            let Some(credential) = current(&mut own, &authority, &clock) else {
                break;
            };
            (turn.asked, turn.last) = (session, Some(now));
            let core = Arc::clone(&core);
            let asking = under_way.spawn(async move {
                let _place = place;
                core.probe(&name, &credential).await;
            });
            turn.busy = Some(asking.id());
        }
    }
}

/// The certificate that the master shows. No store knows it: it is good for handshakes with agents, and for nothing
/// here.
fn current(
    own: &mut Option<Arc<Credential>>,
    authority: &Authority,
    clock: &Clock,
) -> Option<Arc<Credential>> {
    let now = clock.now();
    let good = own.take().filter(|own| now < own.identity().renew_at());
    let signed = || -> Result<Arc<Credential>, pki::Error> {
        let subject = Subject {
            name: MASTER.parse()?,
            role: Role::Viewer,
        };
        Ok(Arc::new(Credential::signed(authority, &subject, now)?))
    };
    match good.map_or_else(signed, Ok) {
        Ok(credential) => *own = Some(credential),
        Err(error) => {
            tracing::error!("agents cannot be asked whether they are reachable: {error}");
        }
    }
    own.clone()
}

impl Core {
    async fn probe(&self, agent: &str, credential: &Credential) {
        let address = match self.store.agent(agent).await {
            Ok(known) => known.greeting.address,
            Err(error) => {
                tracing::warn!(agent, %error, "it is not asked whether it is reachable");
                return;
            }
        };
        if address.is_empty() {
            return;
        }
        let mut problem = self.reach(agent, &address, credential).await.err();
        if let Some(problem) = &mut problem {
            problem.truncate(problem.floor_char_boundary(LONGEST));
            tracing::debug!(agent, problem, "does not answer on its own port");
        }
        let probed = Probed {
            address,
            time: SystemTime::now(),
            problem,
        };
        self.probes.note(agent, probed);
    }

    async fn reach(
        &self,
        agent: &str,
        address: &str,
        credential: &Credential,
    ) -> Result<(), String> {
        let place: Address = address.parse().map_err(|_| {
            "its --report-address is no HOST:PORT, for example web-01.example.com:50051".to_owned()
        })?;
        let name = agent
            .parse()
            .map_err(|error: pki::Error| error.to_string())?;
        let serial = own_port::probe(&place, &name, credential).await?;
        let known = self.store.certificate(serial.as_str()).await;
        match known.map_err(|error| error.to_string())? {
            Some(known) if known.revoked.is_none() => Ok(()),
            _ => Err("what answers there shows a certificate that was revoked".to_owned()),
        }
    }
}

/// A time, more or less: not all are asked at once.
fn spread(time: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let part = u32::try_from(random % 1000).unwrap_or(0);
    time / 4 * 3 + time / 2 * part / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn() -> Turn {
        Turn {
            session: 0,
            asked: 0,
            due: Instant::now(),
            last: None,
            busy: None,
        }
    }

    #[tokio::test]
    async fn one_that_has_come_is_asked_soon_and_one_that_comes_ever_again_is_left_alone_meanwhile()
    {
        let (mut turn, now) = (turn(), Instant::now());
        turn.came(1, now);
        assert!(turn.due <= now + SOON * 2);
        turn.last = Some(now);
        turn.came(2, now);
        assert!(turn.due >= now + PAUSE);
    }

    #[tokio::test]
    async fn one_that_came_again_while_it_was_asked_is_asked_again_before_a_minute_is_over() {
        let (mut turn, now) = (turn(), Instant::now());
        (turn.session, turn.asked) = (2, 1);
        turn.done(now);
        assert_eq!(turn.due, now + PAUSE);
        turn.asked = 2;
        turn.done(now);
        assert!(turn.due >= now + EVERY / 2 && turn.due <= now + EVERY * 2);
    }

    #[test]
    fn what_came_of_another_address_says_nothing_of_this_one() {
        let known = Probes::default();
        let probed = Probed {
            address: "a:1".to_owned(),
            time: SystemTime::UNIX_EPOCH,
            problem: None,
        };
        known.note("web", probed.clone());
        assert_eq!(known.of("web", "a:1"), Some(probed));
        assert_eq!(known.of("web", "a:2"), None);
    }
}
