//! Audits that do not verify, and are set aside on purpose.

use sloth_fleet::store::node::audit::{Log, Wanted, accept_damage, records, verify};
use sloth_sandbox::ports::audit::Audit;

use crate::audit::{current, five, record};

/// The third of five records says something else than was written.
fn damaged() -> tempfile::TempDir {
    let folder = five();
    let path = current(folder.path());
    let text = std::fs::read_to_string(&path).unwrap();
    let changed: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(index, line)| match index {
            2 => line.replacen("files.write", "files.wrote", 1),
            _ => line.to_owned(),
        })
        .collect();
    assert_ne!(changed.join("\n") + "\n", text);
    std::fs::write(&path, changed.join("\n") + "\n").unwrap();
    folder
}

#[test]
fn an_audit_that_does_not_verify_is_set_aside_as_it_is_and_the_next_chain_begins_with_its_head_and_damage()
 {
    let folder = damaged();
    let before = std::fs::read_to_string(current(folder.path())).unwrap();
    let head = std::fs::read_to_string(folder.path().join("end")).unwrap();
    let damage = accept_damage(folder.path()).unwrap().unwrap();
    assert_eq!((damage.file.as_str(), damage.line), ("audit.jsonl", 3));
    let kept = std::fs::read_to_string(damage.kept.join("audit.jsonl")).unwrap();
    assert_eq!(kept, before);
    let verified = verify(folder.path()).unwrap().unwrap();
    let retired = verified.retired.unwrap();
    assert_eq!((verified.records, retired.through), (1, 5));
    assert_eq!(retired.damage, Some(damage));
    let first = &records(folder.path(), &Wanted::default()).unwrap()[0];
    assert_eq!(
        (&first["number"], &first["kind"]),
        (&6.into(), &"retired".into())
    );
    let seal = first["retired"]["seal"].as_str().unwrap();
    assert!(head.contains(seal), "{head}");
    assert!(first["subject"].as_str().unwrap().contains("was changed"));
    // What was accepted once is not damaged any more.
    assert_eq!(accept_damage(folder.path()).unwrap(), None);
}

#[test]
fn who_was_writing_a_damaged_audit_goes_on_behind_the_record_of_it() {
    let folder = damaged();
    let log = Log::open(folder.path()).unwrap();
    log.commit(record("before")).unwrap();
    accept_damage(folder.path()).unwrap().unwrap();
    assert_eq!(log.commit(record("after")).unwrap(), 8);
    drop(log);
    let verified = verify(folder.path()).unwrap().unwrap();
    assert_eq!(verified.records, 2);
    assert_eq!(verified.retired.unwrap().through, 6);
}

#[test]
fn the_record_of_accepted_damage_cannot_be_taken_out_or_changed_either() {
    let folder = damaged();
    accept_damage(folder.path()).unwrap().unwrap();
    let log = Log::open(folder.path()).unwrap();
    log.commit(record("after")).unwrap();
    drop(log);
    let text = std::fs::read_to_string(current(folder.path())).unwrap();
    for other in [
        text.replacen("was changed", "was guarded", 2),
        text.split_once('\n').unwrap().1.to_owned(),
    ] {
        assert_ne!(other, text);
        std::fs::write(current(folder.path()), other).unwrap();
        assert!(verify(folder.path()).unwrap().is_err());
    }
}

#[test]
fn damage_is_accepted_of_files_that_are_gone_or_no_audit_at_all_and_of_a_mark_that_is_none() {
    for harm in ["gone", "garbage", "mark"] {
        let folder = five();
        match harm {
            "gone" => std::fs::remove_file(current(folder.path())).unwrap(),
            "garbage" => std::fs::write(current(folder.path()), "no\nrecord\n").unwrap(),
            _ => std::fs::write(folder.path().join("end"), "x".repeat(500)).unwrap(),
        }
        accept_damage(folder.path()).unwrap().expect(harm);
        let verified = verify(folder.path()).unwrap().expect(harm);
        assert_eq!(verified.retired.unwrap().through, 5, "{harm}");
        let log = Log::open(folder.path()).unwrap();
        assert_eq!(log.commit(record("after")).unwrap(), 7, "{harm}");
    }
}
