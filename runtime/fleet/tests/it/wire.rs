//! What travels comes back as it went, and what makes no sense is refused with what is wrong about it.

use std::time::{Duration, SystemTime};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use sloth_fleet::wire::{Malformed, finished, generated, record};
use sloth_policy::{Capability, Denial, Layer};
use sloth_workflow::event::{Level, Stream};
use sloth_workflow::{Artifact, Counts, Event, Finished, Outcome, Record, Untrusted, Value, cbor};

fn texts() -> impl Strategy<Value = Untrusted> {
    ".{0,12}".prop_map(Untrusted::from)
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![
        Outcome::Ok,
        Outcome::Changed,
        Outcome::Failed,
        Outcome::Skipped,
        Outcome::Denied,
        Outcome::TimedOut,
        Outcome::Cancelled,
        Outcome::Unreachable,
    ])
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        ".{0,8}".prop_map(Value::Text),
        vec(any::<u8>(), 0..8).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            btree_map(".{0,4}", inner, 0..4).prop_map(Value::Map),
        ]
    })
}

fn maps() -> impl Strategy<Value = Value> {
    btree_map(".{0,4}", values(), 0..4).prop_map(Value::Map)
}

fn durations() -> impl Strategy<Value = Duration> {
    (0..1_u64 << 40, 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n))
}

fn moments() -> impl Strategy<Value = SystemTime> {
    durations().prop_map(|since| SystemTime::UNIX_EPOCH + since / 1024)
}

fn denials() -> impl Strategy<Value = Denial> {
    let layers = prop::sample::select(vec![
        Layer::Declaration,
        Layer::Policy,
        Layer::Deny,
        Layer::Limit,
        Layer::SelfProtection,
        Layer::Kernel,
    ]);
    (
        ".{0,8}",
        ".{0,8}",
        layers,
        "[a-z ]{0,8}",
        option::of(".{0,8}"),
    )
        .prop_map(|(capability, subject, layer, message, remedy)| Denial {
            capability,
            subject,
            layer,
            message,
            remedy,
        })
}

fn counts() -> impl Strategy<Value = Counts> {
    any::<[u32; 8]>().prop_map(|n| Counts {
        ok: n[0],
        changed: n[1],
        failed: n[2],
        skipped: n[3],
        denied: n[4],
        timed_out: n[5],
        cancelled: n[6],
        unreachable: n[7],
    })
}

fn steps() -> impl Strategy<Value = Event> {
    let started =
        (texts(), ".{0,8}", any::<u32>()).prop_map(|(task, target, attempt)| Event::StepStarted {
            task,
            target,
            attempt,
        });
    let retrying = (texts(), any::<u32>(), outcomes(), texts(), durations()).prop_map(
        |(task, attempt, outcome, message, delay)| Event::StepRetrying {
            task,
            attempt,
            outcome,
            message,
            delay,
        },
    );
    let places = (option::of(texts()), option::of(texts()));
    let finished = (texts(), outcomes(), texts(), places, maps(), durations()).prop_map(
        |(task, outcome, message, (location, traceback), outputs, duration)| Event::StepFinished {
            task,
            outcome,
            message,
            location,
            traceback,
            outputs,
            duration,
        },
    );
    prop_oneof![started, retrying, finished]
}

fn runs() -> impl Strategy<Value = Event> {
    let started = (texts(), texts(), any::<bool>(), vec(texts(), 0..4)).prop_map(
        |(stack, workflow, check, tasks)| Event::RunStarted {
            run: "4f".into(),
            stack,
            workflow,
            bundle: "sha256:".into(),
            check,
            tasks,
        },
    );
    let finished = (outcomes(), counts(), maps(), durations()).prop_map(
        |(outcome, counts, outputs, duration)| Event::RunFinished {
            outcome,
            counts,
            outputs,
            duration,
        },
    );
    prop_oneof![started, finished]
}

fn happenings() -> impl Strategy<Value = Event> {
    let levels = prop::sample::select(vec![
        Level::Debug,
        Level::Info,
        Level::Success,
        Level::Warn,
        Level::Error,
        Level::Print,
    ]);
    let streams = prop::sample::select(vec![Stream::Stdout, Stream::Stderr]);
    prop_oneof![
        (texts(), levels, texts()).prop_map(|(task, level, message)| Event::Log {
            task,
            level,
            message
        }),
        (texts(), streams, texts()).prop_map(|(task, stream, text)| Event::Output {
            task,
            stream,
            text
        }),
        (
            texts(),
            prop::sample::select(Capability::ALL),
            texts(),
            option::of(texts()),
            any::<bool>()
        )
            .prop_map(|(task, capability, summary, diff, applied)| Event::Change {
                task,
                capability: capability.name(),
                summary,
                diff,
                applied,
            }),
        (texts(), texts(), values(), any::<bool>()).prop_map(|(task, kind, data, applied)| {
            Event::Emitted {
                task,
                kind,
                data,
                applied,
            }
        }),
        (texts(), denials()).prop_map(|(task, denial)| Event::Denial { task, denial }),
    ]
}

fn records() -> impl Strategy<Value = Record> {
    let events = prop_oneof![steps(), runs(), happenings()];
    (events, any::<u64>(), moments(), option::of("[a-z]{1,8}")).prop_map(
        |(event, number, time, target)| Record {
            event,
            number,
            time,
            target,
        },
    )
}

fn ends() -> impl Strategy<Value = Finished> {
    let artifacts = ("[a-z]{1,8}", "[0-9a-f]{64}", any::<u64>(), any::<bool>()).prop_map(
        |(name, digest, size, executable)| Artifact {
            name,
            digest,
            size,
            executable,
        },
    );
    let places = (option::of(texts()), option::of(texts()));
    let left = (maps(), maps(), vec(artifacts, 0..3));
    (outcomes(), texts(), places, any::<bool>(), left).prop_map(
        |(outcome, message, (location, traceback), answer, (outputs, stack, artifacts))| Finished {
            outcome,
            message,
            location,
            traceback,
            outputs,
            answer,
            stack,
            artifacts,
        },
    )
}

/// Values have no equality of their own where they hold times and texts of strangers; this says all of them.
fn said(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_went(sent in records()) {
        let came = Record::try_from(generated::Record::from(&sent)).unwrap();
        prop_assert_eq!(said(&came), said(&sent));
    }

    #[test]
    fn a_record_is_kept_as_it_was_but_for_its_number(sent in records(), number in any::<u64>()) {
        let kept = record::encoded(&sent.event, sent.time, sent.target.as_deref());
        let came = record::decoded(&kept, number).unwrap();
        prop_assert_eq!(said(&came), said(&Record { number, ..sent }));
    }

    #[test]
    fn an_end_comes_back_as_it_went(sent in ends()) {
        let came = Finished::try_from(generated::Finished::from(&sent)).unwrap();
        prop_assert_eq!(said(&came), said(&sent));
        prop_assert_eq!(said(&finished::decoded(&finished::encoded(&sent)).unwrap()), said(&sent));
    }

    #[test]
    fn arbitrary_bytes_are_a_record_or_an_error(bytes in vec(any::<u8>(), 0..96)) {
        let _ = record::decoded(&bytes, 1);
        let _ = finished::decoded(&bytes);
    }
}

fn refused(event: generated::event::Kind) -> String {
    let event = generated::Event { kind: Some(event) };
    Event::try_from(event).unwrap_err().to_string()
}

#[test]
fn a_capability_that_there_is_not_is_refused_and_shown_without_its_escapes() {
    let change = generated::event::Change {
        capability: "files.\u{1b}[2J".into(),
        ..Default::default()
    };
    assert_eq!(
        refused(generated::event::Kind::Change(change)),
        "`files.\\u{1b}[2J` is not a capability that this version knows: bring it up to date"
    );
}

#[test]
fn an_outcome_from_the_future_is_refused_and_a_level_is_shown_all_the_same() {
    let finished = generated::event::StepFinished {
        outcome: 99,
        ..Default::default()
    };
    assert_eq!(
        refused(generated::event::Kind::StepFinished(finished)),
        "the outcome has the value 99, which this version does not know: bring it up to date"
    );
    let unset = generated::event::RunFinished::default();
    assert_eq!(
        refused(generated::event::Kind::RunFinished(unset)),
        "the outcome is missing"
    );
    let log = generated::event::Log {
        level: 99,
        ..Default::default()
    };
    let event = generated::Event {
        kind: Some(generated::event::Kind::Log(log)),
    };
    let Event::Log { level, .. } = Event::try_from(event).unwrap() else {
        panic!("a log is a log");
    };
    assert_eq!(level, Level::Info);
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(
        Record::try_from(generated::Record::default())
            .unwrap_err()
            .to_string(),
        "the event's time is missing"
    );
    let timed = generated::Record {
        time: Some(SystemTime::UNIX_EPOCH.into()),
        ..Default::default()
    };
    assert_eq!(
        Record::try_from(timed).unwrap_err().to_string(),
        "the event is missing"
    );
    assert_eq!(
        Event::try_from(generated::Event::default()).unwrap_err(),
        Malformed::Missing("what happened")
    );
}

#[test]
fn outputs_are_a_map_within_bounds() {
    let with = |outputs: Vec<u8>| {
        refused(generated::event::Kind::StepFinished(
            generated::event::StepFinished {
                outcome: 1,
                outputs,
                ..Default::default()
            },
        ))
    };
    assert_eq!(
        with(cbor::encode(&Value::Integer(7))),
        "the outputs: an integer, not a map"
    );
    assert_eq!(
        with(vec![0x81; 1000]),
        "the outputs: data is nested deeper than 64"
    );
    assert!(with(vec![0; 2 << 20]).contains("over the limit"));
}

#[test]
fn times_and_lengths_that_cannot_be_are_refused() {
    for (seconds, nanos) in [
        (i64::MAX, i32::MAX),
        (253_402_300_800, 0),
        (-1, 0),
        (i64::MIN, 0),
        (0, -1),
    ] {
        let record = generated::Record {
            time: Some(prost_types::Timestamp { seconds, nanos }),
            event: Some(generated::Event::default()),
            ..Default::default()
        };
        assert_eq!(
            Record::try_from(record).unwrap_err(),
            Malformed::Range("the event's time")
        );
    }
    let retrying = generated::event::StepRetrying {
        outcome: 3,
        delay: Some(prost_types::Duration {
            seconds: -1,
            nanos: 0,
        }),
        ..Default::default()
    };
    assert_eq!(
        refused(generated::event::Kind::StepRetrying(retrying)),
        "the delay is out of range"
    );
}

#[test]
fn an_artifact_has_a_name_and_a_digest() {
    let artifact = |name: &str, digest: &str| {
        let artifact = generated::Artifact {
            name: name.into(),
            digest: digest.into(),
            size: 1,
            executable: false,
        };
        Artifact::try_from(artifact).map_err(|error| error.to_string())
    };
    let digits = "a".repeat(64);
    assert_eq!(
        artifact("app", &format!("sha256:{digits}")).unwrap().digest,
        digits
    );
    assert_eq!(
        artifact("", &digits).unwrap_err(),
        "the artifact's name is missing"
    );
    for wrong in [
        digits.clone(),
        format!("sha256:{}", "A".repeat(64)),
        "sha256:../../etc/passwd".to_owned(),
    ] {
        let error = artifact("app", &wrong).unwrap_err();
        assert!(error.ends_with("is not a digest: sha256: and 64 hexadecimal digits"));
    }
}
