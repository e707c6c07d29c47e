//! The master's store: what it keeps, and what breaks it not.

mod contents;
mod crash;
mod deliveries;
mod full;
mod heads;
mod locks;
mod runs;
mod trust;

use std::time::{Duration, SystemTime};

use sloth_fleet::store::master::{Ending, Fresh, Kept, Store, Submission};
use sloth_workflow::event::Level;
use sloth_workflow::{Counts, Event, Outcome};

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn moment(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn submission(id: &str) -> Submission {
    Submission {
        id: id.to_owned(),
        idempotency_key: None,
        submitter: "ada".into(),
        submitted: moment(1000),
        stack: "production".into(),
        workflow: "deploy".into(),
        bundle: "sha256:b".into(),
        content: None,
        apart: Vec::new(),
        reached: Vec::new(),
        plan: b"plan".to_vec(),
        request: b"request".to_vec(),
        targets: vec!["web-2".into(), "web-1".into()],
        check: false,
    }
}

fn ending(outcome: Outcome, seconds: u64) -> Ending {
    let mut counts = Counts::default();
    counts.add(outcome);
    Ending {
        outcome,
        counts,
        outputs: b"outputs".to_vec(),
        time: moment(seconds),
    }
}

/// An event that says a word.
fn said(word: impl Into<String>) -> Fresh {
    let event = Event::Log {
        task: "t".into(),
        level: Level::Info,
        message: word.into().into(),
    };
    Fresh::of(&event, moment(1000), Some("web-1"))
}

/// The words of events, which are numbered without gaps.
fn words(events: &[Kept]) -> Vec<String> {
    let mut words = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let record = event.record().unwrap();
        assert_eq!(record.number, u64::try_from(index).unwrap() + 1);
        let Event::Log { message, .. } = record.event else {
            panic!("an event that nobody appended: {record:?}");
        };
        words.push(message.raw().to_owned());
    }
    words
}

async fn all_words(store: &Store, run: &str) -> Vec<String> {
    let mut all: Vec<Kept> = Vec::new();
    loop {
        let after = all.last().map_or(0, |event| event.number);
        let more = store.events(run, after, usize::MAX).await.unwrap();
        if more.is_empty() {
            return words(&all);
        }
        all.extend(more);
    }
}
