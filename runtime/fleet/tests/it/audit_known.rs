//! Audits held against what somebody else knows of them: cut off or made anew, they verify by themselves.

use std::path::Path;

use sloth_fleet::store::node::audit::{Log, accept_damage, retire, verify, verify_against};
use sloth_sandbox::ports::audit::{Audit, Head};

use crate::audit::{current, five, record};

/// Writes so many records more; gives the heads behind each.
fn write(folder: &Path, records: usize, what: &str) -> Vec<Head> {
    let log = Log::open(folder).unwrap();
    let commit = |_| {
        log.commit(record(what)).unwrap();
        log.head().unwrap()
    };
    (0..records).map(commit).collect()
}

fn problem(folder: &Path, known: &[Head]) -> String {
    verify(folder)
        .unwrap()
        .expect("by itself nothing is wrong with it");
    let problem = verify_against(folder, known).unwrap().unwrap_err();
    assert!(problem.file.starts_with(folder));
    problem.what
}

#[test]
fn every_head_that_was_told_is_found_again_and_before_the_first_record_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    assert_eq!(log.head(), None);
    log.note(record("noted"));
    log.flush();
    assert_eq!(log.head(), None, "the disk may not have it yet");
    log.commit(record("committed")).unwrap();
    let first = log.head().unwrap();
    assert_eq!(first.number, 2);
    drop(log);
    let mut known = write(folder.path(), 3, "told");
    known.push(first);
    let verified = verify_against(folder.path(), &known).unwrap().unwrap();
    assert_eq!((verified.records, verified.known), (5, 4));
}

#[test]
fn an_audit_that_was_cut_off_where_nobody_here_can_tell_is_found_out() {
    let folder = five();
    let before = std::fs::read(current(folder.path())).unwrap();
    let end = std::fs::read(folder.path().join("end")).unwrap();
    let known = write(folder.path(), 3, "told");
    std::fs::write(current(folder.path()), before).unwrap();
    std::fs::write(folder.path().join("end"), end).unwrap();
    assert_eq!(
        problem(folder.path(), &known),
        "records 6 to 8 are missing at the end, of which the master was told"
    );
    // As many as there were are not those that there were.
    write(folder.path(), 4, "other");
    assert_eq!(
        problem(folder.path(), &known),
        "record 6 is another than the master was told of"
    );
    std::fs::remove_dir_all(folder.path()).unwrap();
    let gone = verify_against(folder.path(), &known).unwrap().unwrap_err();
    assert!(gone.what.contains("records 1 to 8 are missing"));
}

#[test]
fn an_audit_that_was_made_anew_is_found_out() {
    let folder = five();
    let known = write(folder.path(), 1, "told");
    for file in [current(folder.path()), folder.path().join("end")] {
        std::fs::remove_file(file).unwrap();
    }
    write(folder.path(), 9, "other");
    assert_eq!(
        problem(folder.path(), &known),
        "record 6 is another than the master was told of"
    );
}

#[test]
fn what_was_retired_or_accepted_need_not_be_there_but_where_it_ended_holds() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::filling(folder.path(), 1).unwrap();
    let mut known = Vec::new();
    for _ in 0..4 {
        log.commit(record("old")).unwrap();
        known.extend(log.head());
    }
    drop(log);
    let gone = retire(folder.path(), std::time::SystemTime::now(), None);
    let gone = gone.unwrap().unwrap();
    assert!(gone.records > 0);
    let verified = verify_against(folder.path(), &known).unwrap().unwrap();
    assert!(
        verified.known > 0 && verified.known < known.len(),
        "{verified:?}"
    );
    let other = Head {
        number: verified.retired.unwrap().through,
        hash: [9; 32],
    };
    let said = problem(folder.path(), &[other]);
    assert!(said.contains("is another than the master was told of"));

    let text = std::fs::read_to_string(current(folder.path())).unwrap();
    std::fs::write(current(folder.path()), text.replace("old", "new")).unwrap();
    accept_damage(folder.path()).unwrap().unwrap();
    assert!(verify_against(folder.path(), &known).unwrap().is_ok());
}
