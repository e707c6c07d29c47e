//! What the store costs: durable appends with many writers, submissions and lists beside few and many runs, and what
//! an event costs on its way in and out.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a measurement may fail, and tells what it found"
)]

use std::sync::Arc;
use std::time::SystemTime;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use sloth_fleet::store::master::{Filter, Fresh, Kept, Store, Submission};
use sloth_workflow::Event;
use sloth_workflow::event::Stream;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

fn submission(id: String) -> Submission {
    Submission {
        id,
        idempotency_key: None,
        submitter: "ada".into(),
        submitted: SystemTime::now(),
        stack: "production".into(),
        workflow: "deploy".into(),
        bundle: "sha256:b".into(),
        content: None,
        apart: Vec::new(),
        reached: Vec::new(),
        plan: vec![0; 2048],
        request: vec![0; 256],
        targets: vec!["web-1".into(), "web-2".into()],
        check: false,
    }
}

fn line() -> Event {
    Event::Output {
        task: "build".into(),
        stream: Stream::Stdout,
        text: "   Compiling something v1.0.0\n".into(),
    }
}

fn fresh() -> Fresh {
    Fresh::of(&line(), SystemTime::now(), Some("web-1"))
}

/// A store with so many runs.
fn store(runs: usize) -> (tempfile::TempDir, Runtime, Arc<Store>) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = Runtime::new().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    runtime.block_on(async {
        let submitted = (0..runs).map(|index| store.submit(submission(format!("run-{index}"))));
        for submitted in futures_util::future::join_all(submitted).await {
            submitted.unwrap();
        }
    });
    (folder, runtime, store)
}

/// Each of so many writers appends 20 events, one after the other, each of which is on the disk before the next.
#[divan::bench(args = [1, 50], sample_count = 10, sample_size = 1)]
fn durable_appends(bencher: Bencher<'_, '_>, writers: usize) {
    let (_folder, runtime, store) = store(1);
    bencher
        .counter(ItemsCount::new(writers * 20))
        .bench_local(|| {
            runtime.block_on(async {
                let writers: Vec<_> = (0..writers)
                    .map(|_| {
                        let store = Arc::clone(&store);
                        tokio::spawn(async move {
                            for _ in 0..20 {
                                store.append("run-0", vec![fresh()]).await.unwrap();
                            }
                        })
                    })
                    .collect();
                for writer in writers {
                    writer.await.unwrap();
                }
            });
        });
    let (requests, commits) = store.commits();
    eprintln!("{requests} requests in {commits} commits");
}

#[divan::bench(args = [100, 10_000], sample_count = 50, sample_size = 1)]
fn submit(bencher: Bencher<'_, '_>, runs: usize) {
    let (_folder, runtime, store) = store(runs);
    let mut next = 0;
    bencher.bench_local(|| {
        next += 1;
        runtime
            .block_on(store.submit(submission(format!("next-{next}"))))
            .unwrap()
    });
}

#[divan::bench(args = [100, 10_000])]
fn list(bencher: Bencher<'_, '_>, runs: usize) {
    let (_folder, runtime, store) = store(runs);
    bencher.bench_local(|| {
        let filter = Filter {
            target: Some("web-2".into()),
            ..Filter::default()
        };
        runtime.block_on(store.runs(filter)).unwrap()
    });
}

/// An event from the program's words into bytes.
#[divan::bench]
fn encode() -> Fresh {
    fresh()
}

/// An event from its bytes into a message under its number: what a watcher costs a master.
#[divan::bench]
fn number(bencher: Bencher<'_, '_>) {
    let body = sloth_fleet::wire::record::encoded(&line(), SystemTime::now(), Some("web-1"));
    bencher.bench(|| sloth_fleet::wire::record::numbered(black_box(&body), 7).unwrap());
}

/// The same, checked and in the program's words.
#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let body = sloth_fleet::wire::record::encoded(&line(), SystemTime::now(), Some("web-1"));
    let kept = Kept { number: 7, body };
    bencher.bench(|| black_box(&kept).record().unwrap());
}
