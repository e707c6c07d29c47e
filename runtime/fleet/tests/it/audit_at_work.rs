//! The audit while others read it, hold its lock, or the power goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use sloth_fleet::store::node::audit::{Log, Wanted, records, retire};
use sloth_sandbox::ports::audit::Audit;

use crate::audit::{current, five, record, valid};

#[test]
fn who_reads_keeps_nobody_from_writing() {
    let folder = five();
    let log = Log::open(folder.path()).unwrap();
    let lock = std::fs::File::open(folder.path().join("lock")).unwrap();
    // As long as a reader holds it, notes at least wait for nothing.
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockShared).unwrap();
    let begun = Instant::now();
    log.note(record("noted"));
    std::thread::sleep(Duration::from_millis(300));
    log.note(record("noted again"));
    assert!(begun.elapsed() < Duration::from_secs(1));
    drop(lock);
    // And a reader does not hold it for as long as it reads: a commit that waits for long is an error.
    let written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !written.load(Ordering::Relaxed) {
                valid(folder.path());
                records(folder.path(), &Wanted::default()).unwrap();
            }
        });
        for _ in 0..20 {
            log.commit(record("meanwhile")).unwrap();
        }
        written.store(true, Ordering::Relaxed);
    });
    drop(log);
    assert_eq!(valid(folder.path()), 27);
}

#[test]
fn a_lock_that_nobody_gives_back_is_an_error_that_names_it() {
    let folder = five();
    let log = Log::open(folder.path()).unwrap();
    let lock = std::fs::File::open(folder.path().join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = log.commit(record("never")).unwrap_err().to_string();
    assert!(error.contains("/lock for 10 seconds"), "{error}");
    drop(lock);
    assert_eq!(log.commit(record("after")).unwrap(), 6);
}

#[test]
fn what_a_power_cut_takes_from_the_end_leaves_an_audit_that_verifies() {
    // Of what was only noted the disk may have any part, and of what was committed all: the end that is on
    // record is never ahead of the lines.
    let folder = five();
    let log = Log::open(folder.path()).unwrap();
    log.note(record("noted"));
    log.flush();
    let end = std::fs::read_to_string(folder.path().join("end")).unwrap();
    assert!(end.starts_with("00000000000000000005 "), "{end}");
    let lines = std::fs::read_to_string(current(folder.path())).unwrap();
    assert_eq!(lines.lines().count(), 6);
    // Left alone, it is synced and put on record.
    let until = Instant::now() + Duration::from_secs(10);
    while !std::fs::read_to_string(folder.path().join("end"))
        .unwrap()
        .starts_with("00000000000000000006 ")
    {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(50));
    }
    let five: String = lines.split_inclusive('\n').take(5).collect();
    drop(log);
    std::fs::write(current(folder.path()), five).unwrap();
    std::fs::write(folder.path().join("end"), end).unwrap();
    assert_eq!(valid(folder.path()), 5);
    let log = Log::open(folder.path()).unwrap();
    assert_eq!(log.commit(record("after")).unwrap(), 6);
    drop(log);
    assert!(
        retire(folder.path(), SystemTime::now(), None)
            .unwrap()
            .is_ok()
    );
}
