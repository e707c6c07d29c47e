//! A run that is taken up again, until it is where it was. Its calls are answered in the order in which they ended, and
//! the clock stands where it stood then: so the scheduler comes to the same decisions, deadlines and cancel included.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sloth_workflow::{Cancel, Clock, scheduler::Canceller};
use tokio::sync::watch;

use crate::store::master::Past;

/// How long the run may come no further while nobody waits for the store, which can take its time. Nothing else in it
/// takes any: what it waits for then will not come.
const STALLED: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5_000 });

/// Where a run is in what it did before. One that has just begun has nothing before it.
pub(crate) struct Replay {
    /// The calls that have ended, with the place of each among them and when it did.
    ended: HashMap<String, (usize, Duration)>,
    /// When each of them ended, in their order.
    times: Vec<Duration>,
    /// Calls that an earlier run answers for this one.
    adopted: HashSet<String>,
    /// When the cancel was asked for in an earlier life of the master.
    cancelled: Option<Duration>,
    state: Mutex<State>,
    /// How many calls are looked up in the store.
    looking: AtomicUsize,
    /// Changes with each step ahead.
    ahead: watch::Sender<u64>,
    /// The present when this began. Jumps of the wall clock are not seen within one life of the master.
    present: (Duration, Instant),
}

/// All times are since the submission of the run.
struct State {
    /// How many of the calls that have ended are answered again.
    answered: usize,
    /// Those that were out, at the end or when the cancel came, and have not been come to again.
    out: HashSet<String>,
    now: Duration,
    /// The first moment at which the time of anything in the run is over.
    deadline: Option<Duration>,
    /// The run has been told of its cancel.
    told: bool,
}

/// How a call stood when the run was taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Ended,
    Out,
}

impl Replay {
    pub(crate) fn of(past: Past, submitted: SystemTime) -> Self {
        let since = |time: SystemTime| time.duration_since(submitted).unwrap_or_default();
        let present = since(SystemTime::now());
        let cancelled = past.cancelled.map(since);
        let times = past.ended.iter().map(|(_, time)| since(*time)).collect();
        let ended = past.ended.into_iter().enumerate();
        let ended: HashMap<_, _> = ended
            .map(|(place, (key, time))| (key, (place, since(time))))
            .collect();
        let later = ended
            .iter()
            .filter(|(_, (_, time))| is_after(*time, cancelled));
        let out = later.map(|(key, _)| key.clone()).chain(past.open).collect();
        Self {
            ended,
            times,
            adopted: past.adopted.into_iter().collect(),
            cancelled,
            state: Mutex::new(State {
                answered: 0,
                out,
                now: past.begun.map_or(present, since),
                deadline: None,
                told: false,
            }),
            looking: AtomicUsize::new(0),
            ahead: watch::Sender::new(0),
            present: (present, Instant::now()),
        }
    }

    /// A call is looked up in the store for as long as this is held.
    pub(crate) fn look(&self) -> Looking<'_> {
        self.looking.fetch_add(1, Ordering::Relaxed);
        Looking(self)
    }

    /// Waits until the run was told of its cancel.
    pub(crate) async fn told(&self) {
        self.settle(|state| state.told).await;
    }

    /// Whether the run may make a call: one that was cancelled goes on with those alone that it had made.
    pub(crate) fn admits(&self, key: &str) -> bool {
        let state = self.state();
        self.cancelled.is_none()
            || state.told
            || state.out.contains(key)
            || self.ended.contains_key(key)
            || self.adopted.contains(key)
    }

    /// What is known of a call from before.
    pub(crate) fn knows(&self, key: &str) -> Option<Known> {
        if self.ended.contains_key(key) || self.adopted.contains(key) {
            Some(Known::Ended)
        } else if self.state().out.contains(key) {
            Some(Known::Out)
        } else {
            None
        }
    }

    /// The run has come to a call. If that has ended before, waits for its turn to be answered. One that never was
    /// waits until the run is where it was: before that, the run may be about to decide otherwise.
    pub(crate) async fn reach(&self, key: &str) {
        let was_out = self.state().out.remove(key);
        if was_out {
            self.step();
        }
        let Some(&(place, time)) = self.ended.get(key) else {
            if !was_out && !self.adopted.contains(key) {
                self.settle(|state| self.is_over(state)).await;
            }
            return;
        };
        // What ended after the cancel is answered after the run was told of it.
        let late = is_after(time, self.cancelled);
        self.settle(|state| state.answered >= place && (state.told || !late))
            .await;
        let mut state = self.state();
        state.answered = state.answered.max(place + 1);
        state.now = state.now.max(time);
        drop(state);
        self.step();
    }

    /// Tells the run of its cancel, once it is where it was when that came.
    pub(crate) async fn tell(&self, cancel: &Cancel, canceller: &Canceller) {
        cancel.given().await;
        let times = self.ended.values().map(|(_, time)| *time);
        let before = times
            .filter(|time| !is_after(*time, self.cancelled))
            .count();
        self.settle(|state| state.answered >= before && state.out.is_empty())
            .await;
        canceller.give();
        self.state().told = true;
        self.step();
    }

    /// Waits for a state. What comes no further is given up as a whole: then everything is answered at once.
    async fn settle(&self, done: impl Fn(&State) -> bool) {
        let mut ahead = self.ahead.subscribe();
        while !done(&self.state()) {
            let waited = tokio::time::timeout(STALLED, ahead.changed()).await;
            if waited.is_err() && self.looking.load(Ordering::Relaxed) == 0 {
                tracing::warn!("a run does not go on as it did before");
                let mut state = self.state();
                state.answered = self.ended.len();
                state.out.clear();
                drop(state);
                self.step();
            }
        }
    }

    /// Whether a delay until a moment is over as far as the run has come: by the times of what was before, and never
    /// ahead of a deadline or a cancel that came sooner.
    fn may_pass(&self, state: &State, moment: Duration) -> bool {
        if !state.told && self.cancelled.is_some_and(|time| time <= moment) {
            return false;
        }
        if self.is_over(state) {
            return true;
        }
        let next = self.times.get(state.answered);
        state.deadline.is_none_or(|deadline| moment < deadline)
            && next.is_none_or(|next| *next > moment)
    }

    /// Lets the present come to a moment.
    async fn come_to(&self, moment: Duration) {
        let left = moment.saturating_sub(self.present());
        if !left.is_zero() {
            tokio::time::sleep(left).await;
        }
    }

    fn step(&self) {
        self.ahead.send_modify(|step| *step += 1);
    }

    fn is_over(&self, state: &State) -> bool {
        state.answered >= self.ended.len() && state.out.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present(&self) -> Duration {
        self.present.0 + self.present.1.elapsed()
    }
}

/// A call that is looked up.
pub(crate) struct Looking<'a>(&'a Replay);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.looking.fetch_sub(1, Ordering::Relaxed);
        // The time without a look begins anew.
        self.0.step();
    }
}

fn is_after(time: Duration, cancelled: Option<Duration>) -> bool {
    cancelled.is_some_and(|cancelled| time > cancelled)
}

impl Clock for Replay {
    fn now(&self) -> Duration {
        let state = self.state();
        if self.is_over(&state) {
            self.present()
        } else {
            state.now
        }
    }

    async fn sleep_until(&self, moment: Duration) {
        self.settle(|state| self.may_pass(state, moment)).await;
        let answered = self.state().answered;
        if answered < self.times.len() {
            return;
        }
        // Whoever waits for the deadline too is asked first.
        tokio::task::yield_now().await;
        self.come_to(moment).await;
    }

    async fn deadline(&self, moment: Duration) {
        {
            let mut state = self.state();
            state.deadline = Some(state.deadline.map_or(moment, |first| first.min(moment)));
        }
        self.settle(|state| self.is_over(state)).await;
        self.come_to(moment).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use sloth_workflow::scheduler::cancel;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// Of a run that was submitted at 10, began at 12, and of which `a` ended at 15 and `b` at 20 while `c` was out.
    fn replay(cancelled: Option<u64>) -> Replay {
        let past = Past {
            begun: Some(at(12)),
            cancelled: cancelled.map(at),
            ended: vec![("a".into(), at(15)), ("b".into(), at(20))],
            adopted: vec!["earlier".into()],
            open: vec!["c".into()],
        };
        Replay::of(past, at(10))
    }

    #[tokio::test]
    async fn waiting_for_the_store_is_no_standstill() {
        let replay = replay(None);
        let (long, longer) = (3 * STALLED, 100 * STALLED);
        let looking = replay.look();
        // A deadline is looked at once the run is where it was, or comes no further.
        let mut deadline = std::pin::pin!(replay.deadline(Duration::from_secs(1)));
        assert!(tokio::time::timeout(long, &mut deadline).await.is_err());
        drop(looking);
        assert!(tokio::time::timeout(longer, deadline).await.is_ok());
    }

    #[tokio::test]
    async fn who_may_not_begin_any_more_waits_until_the_run_was_told() {
        let replay = replay(Some(17));
        assert!(!replay.admits("new"));
        assert!(replay.told().now_or_never().is_none());
        let (canceller, cancel) = cancel::pair();
        canceller.give();
        let (told, _) = cancel::pair();
        let all = async {
            tokio::join!(replay.reach("a"), replay.reach("b"), replay.reach("c"));
        };
        tokio::join!(replay.tell(&cancel, &told), replay.told(), all);
        assert!(replay.admits("new"), "the scheduler knows by now");
    }

    #[tokio::test]
    async fn a_delay_passes_where_it_passed_before() {
        let replay = replay(None);
        let mut soon = std::pin::pin!(replay.sleep_until(Duration::from_secs(7)));
        let mut late = std::pin::pin!(replay.sleep_until(Duration::from_secs(10)));
        assert_eq!((&mut soon).now_or_never(), None, "a ended sooner");
        replay.reach("a").await;
        assert!(soon.now_or_never().is_some(), "b ended later");
        assert_eq!((&mut late).now_or_never(), None);
        replay.reach("b").await;
        late.await;
    }

    #[tokio::test]
    async fn a_delay_that_a_deadline_cut_short_does_not_pass() {
        let replay = replay(None);
        let mut deadline = std::pin::pin!(replay.deadline(Duration::from_secs(12)));
        assert_eq!((&mut deadline).now_or_never(), None);
        replay.reach("a").await;
        replay.reach("b").await;
        // It would have been over at 15, and c is what was called at 12 instead.
        let delay = std::pin::pin!(replay.sleep_until(Duration::from_secs(15)));
        let first = futures_util::future::select(deadline, delay).await;
        assert!(matches!(first, futures_util::future::Either::Left(_)));
    }

    #[tokio::test]
    async fn a_call_that_never_was_waits_until_the_run_is_where_it_was() {
        let replay = replay(None);
        let mut fresh = std::pin::pin!(replay.reach("d"));
        assert_eq!((&mut fresh).now_or_never(), None);
        assert!(replay.reach("earlier").now_or_never().is_some());
        replay.reach("a").await;
        replay.reach("b").await;
        assert_eq!((&mut fresh).now_or_never(), None, "c has not been come to");
        replay.reach("c").await;
        assert!(fresh.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_cancelled_run_has_what_an_earlier_run_answers_and_no_delay_passes_before_it_is_told()
    {
        let replay = replay(Some(17));
        assert!(replay.admits("earlier") && !replay.admits("d"));
        replay.reach("a").await;
        let mut delay = std::pin::pin!(replay.sleep_until(Duration::from_secs(8)));
        assert_eq!((&mut delay).now_or_never(), None);
        let (above, cancel) = cancel::pair();
        let (canceller, _told) = cancel::pair();
        above.give();
        replay.reach("c").await;
        let mut second = std::pin::pin!(replay.reach("b"));
        assert_eq!((&mut second).now_or_never(), None);
        assert_eq!((&mut delay).now_or_never(), None);
        replay.tell(&cancel, &canceller).await;
        delay.await;
    }

    #[tokio::test]
    async fn calls_are_answered_in_their_order_and_the_clock_goes_with_them() {
        let replay = replay(None);
        assert_eq!(replay.now(), Duration::from_secs(2));
        let mut second = std::pin::pin!(replay.reach("b"));
        assert_eq!((&mut second).now_or_never(), None);
        assert!(replay.reach("a").now_or_never().is_some());
        assert_eq!(replay.now(), Duration::from_secs(5));
        assert!(second.now_or_never().is_some());
        assert_eq!(replay.now(), Duration::from_secs(10));
        assert_eq!(replay.deadline(Duration::ZERO).now_or_never(), None);
        replay.reach("c").await;
        assert!(replay.now() > Duration::from_secs(1_000_000), "the present");
        replay.deadline(Duration::ZERO).await;
    }

    #[tokio::test]
    async fn the_cancel_is_told_where_it_came() {
        let replay = replay(Some(17));
        assert!(replay.admits("a") && replay.admits("c") && !replay.admits("d"));
        let (above, cancel) = cancel::pair();
        let (canceller, told) = cancel::pair();
        above.give();
        let mut telling = std::pin::pin!(replay.tell(&cancel, &canceller));
        let mut second = std::pin::pin!(replay.reach("b"));
        assert_eq!((&mut second).now_or_never(), None);
        assert_eq!((&mut telling).now_or_never(), None);
        replay.reach("a").await;
        assert_eq!((&mut telling).now_or_never(), None, "c was out already");
        replay.reach("c").await;
        assert_eq!((&mut second).now_or_never(), None, "b ended after it");
        telling.await;
        assert!(told.is_given());
        second.await;
        assert!(replay.admits("d"), "from here on the scheduler decides");
    }

    #[tokio::test]
    async fn what_is_never_come_to_holds_up_nothing_for_ever() {
        let replay = replay(None);
        replay.reach("b").await;
        replay.deadline(Duration::ZERO).await;
    }
}
