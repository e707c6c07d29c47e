//! The audit: written by several at once, torn, full, and above all changed.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sloth_fleet::store::node::audit::{Log, Wanted, records, retire, verify};
use sloth_sandbox::ports::audit::{Audit, Kind, Origin, Record};

pub(crate) fn record(subject: &str) -> Record {
    Record {
        time: SystemTime::UNIX_EPOCH,
        origin: Arc::new(Origin {
            run: "r".into(),
            stack: "s".into(),
            workflow: "w".into(),
            task: "t".into(),
            attempt: 1,
        }),
        kind: Kind::Intent,
        capability: "files.write".into(),
        subject: subject.into(),
        intent: None,
        outcome: None,
        reason: None,
    }
}

pub(crate) fn current(folder: &Path) -> PathBuf {
    folder.join("audit.jsonl")
}

/// An audit of five records.
pub(crate) fn five() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    for number in 1..=5 {
        let subject = format!("/etc/{number} \"quoted\" }} \u{1b}");
        assert_eq!(log.commit(record(&subject)).unwrap(), number);
    }
    folder
}

pub(crate) fn valid(folder: &Path) -> u64 {
    verify(folder)
        .unwrap()
        .unwrap_or_else(|problem| panic!("{problem:?}"))
        .records
}

/// The line and the words of the first problem after the lines were changed.
fn broken(change: impl FnOnce(&mut Vec<String>)) -> (u64, String) {
    let folder = five();
    let path = current(folder.path());
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    lines.push(String::new());
    let text = lines.join("\n");
    std::fs::write(&path, text).unwrap();
    let problem = verify(folder.path()).unwrap().unwrap_err();
    assert_eq!(problem.file, path);
    (problem.line, problem.what)
}

#[test]
fn what_is_written_verifies_and_is_nobody_elses_to_read() {
    let folder = five();
    assert_eq!(valid(folder.path()), 5);
    let mode = std::fs::metadata(current(folder.path()))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(valid(Path::new("/nowhere")), 0);
}

#[test]
fn every_record_that_is_changed_removed_moved_or_added_is_found() {
    for index in 0..5 {
        let place = index as u64 + 1;
        let (line, what) = broken(|lines| lines[index] = lines[index].replace("/etc/", "/tmp/"));
        assert_eq!((line, what.contains("changed")), (place, true), "{what}");
        let (line, what) = broken(|lines| drop(lines.remove(index)));
        assert!(what.contains("missing"), "{what}");
        assert_eq!(line, place.min(4));
        let (line, what) = broken(|lines| {
            let moved = lines.remove(index);
            lines.insert((index + 2) % 5, moved);
        });
        assert!(line <= 5, "{what}");
        let (line, _) = broken(|lines| lines.insert(index, lines[index].clone()));
        assert_eq!(line, if index == 4 { 6 } else { place + 1 });
    }
    let (_, what) = broken(Vec::clear);
    assert!(what.contains("records 1 to 5 are missing"), "{what}");
    let (line, what) = broken(|lines| lines[2] = "{}".into());
    assert_eq!((line, what.as_str()), (3, "is no record"));
}

#[test]
fn a_torn_line_is_cut_off_and_put_on_record_and_the_chain_goes_on() {
    let folder = five();
    let path = current(folder.path());
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    file.write_all(br#"{"number":6,"time":"19"#).unwrap();
    drop(file);
    assert!(verify(folder.path()).unwrap().unwrap().torn);
    let log = Log::open(folder.path()).unwrap();
    assert_eq!(log.commit(record("/after")).unwrap(), 7);
    drop(log);
    assert_eq!(valid(folder.path()), 7);
    let told = records(folder.path(), &Wanted::default()).unwrap();
    assert_eq!(told[5]["kind"], "recovered");
    assert!(told[5]["subject"].as_str().unwrap().contains("torn"));
}

#[test]
fn records_taken_from_the_end_stay_missing_when_the_next_run_writes() {
    let folder = five();
    let path = current(folder.path());
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: String = text.split_inclusive('\n').take(3).collect();
    std::fs::write(&path, kept).unwrap();
    drop(Log::open(folder.path()).unwrap());
    let problem = verify(folder.path()).unwrap().unwrap_err();
    assert!(
        problem.what.contains("records 4 to 5 are missing"),
        "{problem:?}"
    );
}

#[test]
fn a_full_file_is_put_away_and_the_chain_spans_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::filling(folder.path(), 2000).unwrap();
    for number in 1..=40 {
        assert_eq!(log.commit(record("/etc/motd")).unwrap(), number);
    }
    drop(log);
    let verified = verify(folder.path()).unwrap().unwrap();
    assert_eq!(verified.records, 40);
    assert!(verified.files > 3, "{verified:?}");
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("audit-"))
        .collect();
    files.sort();
    std::fs::remove_file(&files[1]).unwrap();
    let problem = verify(folder.path()).unwrap().unwrap_err();
    assert_eq!((problem.file, problem.line), (files[2].clone(), 1));
    assert!(problem.what.contains("missing"), "{}", problem.what);
}

#[test]
fn several_writers_at_once_make_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let logs: Vec<Log> = (0..3)
        .map(|_| Log::filling(folder.path(), 20_000).unwrap())
        .collect();
    std::thread::scope(|scope| {
        for (writer, log) in logs.iter().enumerate() {
            for thread in 0..2 {
                scope.spawn(move || {
                    for index in 0..50 {
                        log.note(record("noted"));
                        log.commit(record(&format!("{writer} {thread} {index}")))
                            .unwrap();
                    }
                });
            }
        }
    });
    drop(logs);
    assert_eq!(valid(folder.path()), 600);
}

#[test]
fn a_note_is_on_the_disk_soon_and_at_once_when_a_step_ends() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    log.note(record("a"));
    log.flush();
    assert_eq!(valid(folder.path()), 1);
    log.note(record("b"));
    let until = Instant::now() + Duration::from_secs(5);
    while valid(folder.path()) < 2 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_disk_that_takes_nothing_is_told_of_and_nothing_is_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    log.commit(record("before")).unwrap();
    // In the place of the file that says where the audit ends: nothing can be written there.
    let away = folder.path().join("away");
    std::fs::rename(current(folder.path()), &away).unwrap();
    std::fs::create_dir(current(folder.path())).unwrap();
    assert!(log.commit(record("lost")).is_err());
    log.note(record("noted"));
    std::fs::remove_dir(current(folder.path())).unwrap();
    std::fs::rename(&away, current(folder.path())).unwrap();
    assert_eq!(log.commit(record("after")).unwrap(), 3);
    drop(log);
    assert_eq!(valid(folder.path()), 3);
}

#[test]
fn records_are_found_by_task_capability_run_and_age() {
    let folder = five();
    let count = |wanted: Wanted| records(folder.path(), &wanted).unwrap().len();
    let noun = Some("files".to_owned());
    assert_eq!(
        count(Wanted {
            capability: noun,
            last: 2,
            ..Wanted::default()
        }),
        2
    );
    let other = Some("files.writ".to_owned());
    assert_eq!(
        count(Wanted {
            capability: other,
            ..Wanted::default()
        }),
        0
    );
    assert_eq!(
        count(Wanted {
            task: Some("t".into()),
            run: Some("r".into()),
            ..Wanted::default()
        }),
        5
    );
    assert_eq!(
        count(Wanted {
            task: Some("u".into()),
            ..Wanted::default()
        }),
        0
    );
}

/// Prints what an intent costs on this disk: `cargo test --test it -- --ignored --nocapture intent_costs`.
#[test]
#[ignore = "it measures"]
#[expect(clippy::print_stdout, reason = "what was measured")]
fn what_an_intent_costs() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = Log::open(folder.path()).unwrap();
    for writers in [1, 4] {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..writers {
                scope.spawn(|| {
                    for _ in 0..100 {
                        log.commit(record("/etc/motd")).unwrap();
                    }
                });
            }
        });
        let each = begun.elapsed() / (100 * writers);
        println!("{writers} writers: {each:?} an intent");
    }
}

/// An audit of forty old records in several files, of which all but the last are full.
fn old() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::filling(folder.path(), 2000).unwrap();
    for _ in 1..=40 {
        log.commit(record("/etc/motd")).unwrap();
    }
    folder
}

/// The full files of an audit, oldest first.
fn full(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("audit-"))
        .collect();
    files.sort();
    files
}

#[test]
fn retired_files_are_gone_on_purpose_and_the_rest_still_verifies_and_says_so() {
    let folder = old();
    let kept = tempfile::tempdir().unwrap();
    let count = full(folder.path()).len();
    let gone = retire(folder.path(), SystemTime::now(), Some(kept.path()))
        .unwrap()
        .unwrap();
    assert_eq!(gone.files.len(), count);
    assert!(full(folder.path()).is_empty());
    assert_eq!(full(kept.path()).len(), count);
    let verified = verify(folder.path()).unwrap().unwrap();
    let retired = verified.retired.unwrap();
    assert_eq!(retired.through, gone.records);
    assert_eq!(verified.records, 41 - gone.records);
    assert!(retired.by.contains("uid ") && !retired.time.is_empty());
    let told = records(folder.path(), &Wanted::default()).unwrap();
    let last = told.last().unwrap();
    assert_eq!(last["kind"], "retired");
    assert!(
        last["subject"]
            .as_str()
            .unwrap()
            .contains(&format!("up to {}", retired.through))
    );
    // The chain goes on, and can be retired again.
    let log = Log::filling(folder.path(), 1).unwrap();
    for _ in 0..3 {
        log.commit(record("/etc/motd")).unwrap();
    }
    drop(log);
    let young = retire(folder.path(), SystemTime::UNIX_EPOCH, None).unwrap();
    assert_eq!(young.unwrap().files.len(), 0);
    // The record of the first time is of today.
    let tomorrow = SystemTime::now() + Duration::from_hours(24);
    let again = retire(folder.path(), tomorrow, None).unwrap().unwrap();
    assert!(again.files.len() > 1);
    let verified = verify(folder.path()).unwrap().unwrap();
    assert!(verified.retired.unwrap().through > retired.through);
}

#[test]
fn files_that_are_merely_gone_are_not_taken_for_retired_ones() {
    let folder = old();
    let files = full(folder.path());
    std::fs::remove_file(&files[0]).unwrap();
    let problem = verify(folder.path()).unwrap().unwrap_err();
    assert_eq!((&problem.file, problem.line), (&files[1], 1));
    assert!(problem.what.contains("no record says"), "{}", problem.what);
    // Nor does retiring the rest hide it.
    assert!(
        retire(folder.path(), SystemTime::now(), None)
            .unwrap()
            .is_err()
    );
    assert_eq!(full(folder.path()).len(), files.len() - 1);

    // And after an honest retirement, the next file cannot go unseen either.
    let folder = old();
    assert!(
        retire(folder.path(), SystemTime::now(), None)
            .unwrap()
            .is_ok()
    );
    let log = Log::filling(folder.path(), 1).unwrap();
    for _ in 0..3 {
        log.commit(record("/etc/motd")).unwrap();
    }
    drop(log);
    let files = full(folder.path());
    std::fs::remove_file(&files[1]).unwrap();
    assert!(verify(folder.path()).unwrap().is_err());
}

#[test]
fn a_record_of_retired_files_that_was_changed_is_found() {
    let folder = old();
    assert!(
        retire(folder.path(), SystemTime::now(), None)
            .unwrap()
            .is_ok()
    );
    let path = current(folder.path());
    let text = std::fs::read_to_string(&path).unwrap();
    let by = text.split_once("\"by\":\"").unwrap().1;
    let by = by.split_once('"').unwrap().0;
    for (from, to) in [
        (format!("\"by\":\"{by}"), "\"by\":\"somebody".to_owned()),
        ("\"through\":".to_owned(), "\"through\":1".to_owned()),
        (
            "\"kind\":\"retired\"".to_owned(),
            "\"kind\":\"call\"".to_owned(),
        ),
    ] {
        std::fs::write(&path, text.replace(&from, &to)).unwrap();
        assert!(verify(folder.path()).unwrap().is_err(), "{from}");
    }
    std::fs::write(&path, &text).unwrap();
    assert!(verify(folder.path()).unwrap().is_ok());
}

#[test]
fn retiring_that_was_cut_short_is_finished_the_next_time() {
    let folder = old();
    let files = full(folder.path());
    let last = std::fs::read(files.last().unwrap()).unwrap();
    assert!(
        retire(folder.path(), SystemTime::now(), None)
            .unwrap()
            .is_ok()
    );
    // The record was written, and the newest of the files was still there.
    std::fs::write(files.last().unwrap(), last).unwrap();
    let verified = verify(folder.path()).unwrap().unwrap();
    assert_eq!(verified.files, 1);
    let gone = retire(folder.path(), SystemTime::now(), None)
        .unwrap()
        .unwrap();
    assert_eq!(gone.files.len(), 1);
    assert!(verify(folder.path()).unwrap().is_ok());
}

#[test]
fn what_cannot_be_kept_where_it_was_to_be_kept_is_not_retired() {
    let folder = old();
    let count = full(folder.path()).len();
    let nowhere = folder.path().join("nowhere");
    assert!(retire(folder.path(), SystemTime::now(), Some(&nowhere)).is_err());
    assert_eq!(full(folder.path()).len(), count);
    assert_eq!(valid(folder.path()), 40);
}
