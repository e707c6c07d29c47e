//! Locks: one run at a time, in turn, and never for ever.

use std::time::Duration;

use sloth_fleet::store::master::{Lock, Store, WhenHeld};
use sloth_workflow::Outcome;

use super::{ending, moment, store, submission};

const LEASE: Duration = Duration::from_secs(60);

async fn three() -> (tempfile::TempDir, Store) {
    let (folder, store) = store();
    for run in ["a", "b", "c"] {
        store.submit(submission(run)).await.unwrap();
    }
    (folder, store)
}

async fn queue(store: &Store, run: &str, seconds: u64) -> Lock {
    let now = moment(seconds);
    store
        .lock("deploy", run, WhenHeld::Queue, LEASE, now)
        .await
        .unwrap()
}

async fn leave(store: &Store, run: &str, seconds: u64) -> Lock {
    let now = moment(seconds);
    store
        .lock("deploy", run, WhenHeld::Leave, LEASE, now)
        .await
        .unwrap()
}

fn busy(by: &str) -> Lock {
    Lock::Busy { by: by.into() }
}

#[tokio::test]
async fn whoever_waits_longest_gets_it_when_the_run_ends() {
    let (folder, store) = three().await;
    let watch = store.watch_locks();
    assert_eq!(queue(&store, "a", 0).await, Lock::Held);
    assert_eq!(queue(&store, "a", 1).await, Lock::Held);
    assert_eq!(queue(&store, "b", 1).await, Lock::Waiting { behind: 1 });
    assert_eq!(queue(&store, "c", 2).await, Lock::Waiting { behind: 2 });
    assert_eq!(leave(&store, "c", 2).await, busy("a"));
    assert!(!watch.has_changed().unwrap());
    store.finish("a", ending(Outcome::Failed, 3)).await.unwrap();
    assert!(watch.has_changed().unwrap());
    // Also when the master comes up again, and never past those who wait.
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(queue(&store, "c", 4).await, Lock::Waiting { behind: 1 });
    assert_eq!(leave(&store, "a", 4).await, busy("b"));
    assert_eq!(queue(&store, "b", 5).await, Lock::Held);
    store.unlock("b").await.unwrap();
    assert_eq!(queue(&store, "c", 6).await, Lock::Held);
}

#[tokio::test]
async fn a_lease_that_ran_out_is_the_next_ones_and_the_holder_hears_of_it() {
    let (_folder, store) = three().await;
    assert_eq!(leave(&store, "a", 0).await, Lock::Held);
    assert_eq!(leave(&store, "b", 59).await, busy("a"));
    assert_eq!(store.renew_locks("a", LEASE, moment(59)).await.unwrap(), 1);
    assert_eq!(leave(&store, "b", 118).await, busy("a"));
    assert_eq!(leave(&store, "b", 120).await, Lock::Held);
    assert_eq!(store.renew_locks("a", LEASE, moment(121)).await.unwrap(), 0);
}

#[tokio::test]
async fn who_gave_up_waiting_holds_up_nobody() {
    let (_folder, store) = three().await;
    assert_eq!(queue(&store, "a", 0).await, Lock::Held);
    assert_eq!(queue(&store, "b", 0).await, Lock::Waiting { behind: 1 });
    assert_eq!(queue(&store, "c", 0).await, Lock::Waiting { behind: 2 });
    store
        .finish("b", ending(Outcome::Cancelled, 1))
        .await
        .unwrap();
    assert_eq!(queue(&store, "c", 2).await, Lock::Waiting { behind: 1 });
    store.finish("a", ending(Outcome::Ok, 3)).await.unwrap();
    assert_eq!(queue(&store, "c", 4).await, Lock::Held);
}
