//! The processes of several programs together: a limit that no program alone may be near.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Programs that share one limit of processes.
#[derive(Clone, Debug)]
pub struct Crowd(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: u32,
    counts: Mutex<Counts>,
    /// Goes up each time that they have too many.
    alarms: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Counts {
    next: u64,
    by_member: BTreeMap<u64, u32>,
}

/// One program's place among them, until it is dropped.
#[derive(Debug)]
pub struct Member {
    crowd: Crowd,
    number: u64,
    alarms: watch::Receiver<u64>,
}

impl Crowd {
    /// Nobody yet; together they may have so many processes at once.
    pub fn of(most: u32) -> Self {
        Self(Arc::new(Shared {
            most,
            counts: Mutex::default(),
            alarms: watch::Sender::new(0),
        }))
    }

    /// A place for one more program, which counts as one process until it is counted. None when there are as many
    /// processes as there may be.
    pub fn join(&self) -> Option<Member> {
        let mut counts = self.counts();
        if counts.sum() >= u64::from(self.0.most) {
            return None;
        }
        let number = counts.next;
        counts.next += 1;
        counts.by_member.insert(number, 1);
        Some(Member {
            crowd: self.clone(),
            number,
            alarms: self.0.alarms.subscribe(),
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn sum(&self) -> u64 {
        self.by_member.values().copied().map(u64::from).sum()
    }
}

impl Member {
    /// Takes note of how many processes this program has now, and sounds the alarm for all when that is too many.
    pub(super) fn count(&self, living: u32) {
        let mut counts = self.crowd.counts();
        counts.by_member.insert(self.number, living);
        if counts.sum() > u64::from(self.crowd.0.most) {
            self.crowd.0.alarms.send_modify(|alarms| *alarms += 1);
        }
    }

    /// Completes once all of them together have had too many processes while this program was among them.
    pub(super) fn alarm(&self) -> impl Future<Output = ()> + use<> {
        let mut alarms = self.alarms.clone();
        async move {
            if alarms.changed().await.is_err() {
                // Never: this program's own place holds the sender.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.crowd.counts().by_member.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_alarmed(member: &Member) -> bool {
        tokio::time::timeout(Duration::from_millis(1), member.alarm())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn too_many_together_alarm_all_who_are_there_and_nobody_who_comes_later() {
        let crowd = Crowd::of(4);
        let (one, other) = (crowd.join().unwrap(), crowd.join().unwrap());
        one.count(2);
        other.count(2);
        assert!(!is_alarmed(&one).await && !is_alarmed(&other).await);
        assert!(crowd.join().is_none());
        other.count(3);
        assert!(is_alarmed(&one).await && is_alarmed(&other).await);
        drop((one, other));
        assert!(!is_alarmed(&crowd.join().unwrap()).await);
    }

    #[tokio::test]
    async fn each_program_counts_from_its_start_to_its_end() {
        let crowd = Crowd::of(2);
        let (one, _other) = (crowd.join().unwrap(), crowd.join().unwrap());
        assert!(crowd.join().is_none());
        drop(one);
        assert!(crowd.join().is_some());
    }
}
