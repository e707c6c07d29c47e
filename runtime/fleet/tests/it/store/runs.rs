//! Runs and their events: each submission once, each event once, in order, at a cost that does not grow.

use std::sync::Arc;
use std::time::Duration;

use sloth_fleet::store::master::{Error, Filter, Fresh, RunState, Store, Within};
use sloth_workflow::{Event, Outcome, Value};

use super::{all_words, ending, moment, said, store, submission, words};

#[tokio::test]
async fn a_run_comes_back_as_it_was_submitted() {
    let (folder, store) = store();
    let submitted = store.submit(submission("a")).await.unwrap();
    assert!(!submitted.known);
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let detail = store.detail("a").await.unwrap();
    assert_eq!(detail.run, submitted.run);
    assert_eq!(detail.run.state, RunState::Queued);
    assert_eq!(detail.run.targets, ["web-2", "web-1"]);
    assert_eq!(
        (detail.plan, detail.request),
        (b"plan".to_vec(), b"request".to_vec())
    );
    assert_eq!(detail.outputs, None);
}

#[tokio::test]
async fn a_run_goes_from_queued_over_running_to_its_first_end() {
    let (_folder, store) = store();
    store.submit(submission("a")).await.unwrap();
    assert_eq!(store.begin("a").await.unwrap().state, RunState::Running);
    assert_eq!(store.open_runs().await.unwrap().len(), 1);
    assert!(store.cancel("a").await.unwrap().cancelling);
    let ended = store
        .finish("a", ending(Outcome::Denied, 2000))
        .await
        .unwrap();
    assert_eq!(
        (ended.state, ended.outcome),
        (RunState::Denied, Some(Outcome::Denied))
    );
    assert_eq!(
        (ended.counts.denied, ended.finished),
        (1, Some(moment(2000)))
    );
    let again = store.finish("a", ending(Outcome::Ok, 3000)).await.unwrap();
    assert_eq!(again, ended);
    assert_eq!(store.begin("a").await.unwrap(), ended);
    assert_eq!(
        store.detail("a").await.unwrap().outputs.unwrap(),
        b"outputs"
    );
    assert!(store.open_runs().await.unwrap().is_empty());
}

#[tokio::test]
async fn each_target_ends_by_itself() {
    let (_folder, store) = store();
    store.submit(submission("a")).await.unwrap();
    store
        .finish_pipeline("a", "web-1", ending(Outcome::Failed, 1))
        .await
        .unwrap();
    store
        .finish_pipeline("a", "web-1", ending(Outcome::Ok, 2))
        .await
        .unwrap();
    let ends: Vec<_> = store.pipelines("a").await.unwrap();
    let ends: Vec<_> = ends
        .iter()
        .map(|p| (p.target.as_str(), p.outcome))
        .collect();
    assert_eq!(ends, [("web-2", None), ("web-1", Some(Outcome::Failed))]);
}

#[tokio::test]
async fn one_key_is_one_run_however_many_submit_at_once() {
    let (_folder, store) = store();
    let store = Arc::new(store);
    let mut asked = Vec::new();
    for index in 0..50 {
        let store = Arc::clone(&store);
        asked.push(tokio::spawn(async move {
            let mut wanted = submission(&format!("run-{index}"));
            wanted.idempotency_key = Some("k".into());
            store.submit(wanted).await.unwrap()
        }));
    }
    let mut fresh = 0;
    let mut ids = std::collections::BTreeSet::new();
    for answer in asked {
        let submitted = answer.await.unwrap();
        fresh += usize::from(!submitted.known);
        ids.insert(submitted.run.id);
    }
    assert_eq!((fresh, ids.len()), (1, 1));
    assert_eq!(store.runs(Filter::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_for_something_else_is_refused_and_another_submitters_is_another() {
    let (_folder, store) = store();
    let mut first = submission("a");
    first.idempotency_key = Some("k".into());
    store.submit(first.clone()).await.unwrap();
    let mut other = first.clone();
    other.workflow = "remove\u{1b}".into();
    other.id = "b".into();
    let error = store.submit(other).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the idempotency key `k` is that of another submission, of production / deploy: choose another key"
    );
    first.submitter = "eve".into();
    first.id = "c".into();
    assert!(!store.submit(first).await.unwrap().known);
}

#[tokio::test]
async fn an_id_that_is_there_takes_nobody_else_down_with_it() {
    let (_folder, store) = store();
    store.submit(submission("a")).await.unwrap();
    let (same, other, third) = tokio::join!(
        store.submit(submission("a")),
        store.submit(submission("b")),
        store.append("nowhere", vec![said("x")]),
    );
    assert!(matches!(same, Err(Error::Unusable(_))), "{same:?}");
    assert!(other.is_ok());
    assert_eq!(
        third.unwrap_err().to_string(),
        "there is no run nowhere; sloth-runner runs list shows those that are kept"
    );
}

#[tokio::test]
async fn runs_are_listed_latest_first_and_by_what_is_asked() {
    let (_folder, store) = store();
    for index in 0..60 {
        let mut wanted = submission(&format!("r{index:02}"));
        wanted.stack = format!("s{}", index % 3);
        wanted.targets = vec![format!("t{}", index % 2)];
        store.submit(wanted).await.unwrap();
        if index % 5 == 0 {
            store
                .finish(&format!("r{index:02}"), ending(Outcome::Ok, 1))
                .await
                .unwrap();
        }
    }
    let ids = async |filter: Filter| -> Vec<String> {
        let runs = store.runs(filter).await.unwrap();
        runs.into_iter().map(|run| run.id).collect()
    };
    let all = ids(Filter::default()).await;
    assert_eq!((all.len(), all[0].as_str()), (50, "r59"));
    let filter = Filter {
        limit: 2,
        stack: Some("s0".into()),
        state: Some(RunState::Succeeded),
        target: Some("t1".into()),
        within: None,
    };
    assert_eq!(ids(filter.clone()).await, ["r45", "r15"]);
    let few = Filter {
        limit: 3,
        state: Some(RunState::Succeeded),
        ..Filter::default()
    };
    assert_eq!(ids(few).await, ["r55", "r50", "r45"]);
    let none = Filter {
        target: Some("t'; DROP TABLE run; --".into()),
        ..filter
    };
    assert!(ids(none).await.is_empty());
    assert_eq!(
        ids(Filter {
            limit: 9999,
            ..Filter::default()
        })
        .await
        .len(),
        60
    );
}

#[tokio::test]
async fn events_are_numbered_without_gaps_and_read_from_anywhere() {
    let (_folder, store) = store();
    for run in ["a", "b"] {
        store.submit(submission(run)).await.unwrap();
    }
    for index in 0..10 {
        for run in ["a", "b"] {
            let last = store
                .append(run, vec![said(format!("{run}{index}"))])
                .await
                .unwrap();
            assert_eq!(last, index + 1);
        }
    }
    assert_eq!(all_words(&store, "a").await.last().unwrap(), "a9");
    let some = store.events("b", 4, 3).await.unwrap();
    assert_eq!(
        some.iter().map(|event| event.number).collect::<Vec<_>>(),
        [5, 6, 7]
    );
    assert!(store.events("b", 10, 3).await.unwrap().is_empty());
    assert!(store.events("b", u64::MAX, 3).await.unwrap().is_empty());
    assert_eq!(store.run("b").await.unwrap().events, 10);
}

#[tokio::test]
async fn an_answer_is_bounded_and_never_empty_while_there_is_more() {
    let (_folder, store) = store();
    store.submit(submission("a")).await.unwrap();
    let large = "x".repeat(1 << 20);
    store
        .append("a", (0..5).map(|_| said(large.clone())).collect())
        .await
        .unwrap();
    let (mut after, mut answers) = (0, 0);
    loop {
        let events = store.events("a", after, 1000).await.unwrap();
        let Some(last) = events.last() else { break };
        assert!(events.len() <= 2, "{} MiB at once", events.len());
        (after, answers) = (last.number, answers + 1);
    }
    assert!(after == 5 && answers >= 3);
}

#[tokio::test]
async fn an_event_with_a_key_comes_once_in_its_run() {
    let (_folder, store) = store();
    for run in ["a", "b"] {
        store.submit(submission(run)).await.unwrap();
    }
    let replay = || vec![said("one").once("1"), said("two").once("2"), said("free")];
    assert_eq!(store.append("a", replay()).await.unwrap(), 3);
    assert_eq!(store.append("a", replay()).await.unwrap(), 4);
    assert_eq!(store.append("b", replay()).await.unwrap(), 3);
    assert_eq!(all_words(&store, "a").await, ["one", "two", "free", "free"]);
}

#[tokio::test]
async fn whoever_watches_is_told_and_a_slow_one_holds_up_nobody() {
    let (_folder, store) = store();
    store.submit(submission("a")).await.unwrap();
    let (mut quick, slow) = (store.watch("a"), store.watch("a"));
    let other = store.watch("b");
    for index in 1..=500 {
        store.append("a", vec![said("x")]).await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), quick.changed())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(*quick.borrow_and_update(), index);
    }
    assert_eq!(*slow.borrow(), 500);
    assert!(!other.has_changed().unwrap());
}

#[tokio::test]
async fn steps_are_as_their_events_tell() {
    let (_folder, store) = store();
    store.submit(submission("a")).await.unwrap();
    let at = |event: Event, target| Fresh::of(&event, moment(1), target);
    let started = |task: &str, attempt| Event::StepStarted {
        task: task.into(),
        target: "web-1".into(),
        attempt,
    };
    let finished = |task: &str, outcome, message: &str| Event::StepFinished {
        task: task.into(),
        outcome,
        message: message.into(),
        location: None,
        traceback: None,
        outputs: Value::empty(),
        duration: Duration::ZERO,
    };
    let retrying = Event::StepRetrying {
        task: "build".into(),
        attempt: 1,
        outcome: Outcome::Failed,
        message: "no route".into(),
        delay: Duration::ZERO,
    };
    let events = vec![
        at(started("build", 1), Some("web-1")),
        at(retrying, Some("web-1")),
        at(started("build", 2), Some("web-1")),
        at(started("build", 1), Some("web-2")),
        at(finished("build", Outcome::Ok, ""), Some("web-2")),
        at(finished("test", Outcome::Skipped, &"ä".repeat(1000)), None),
    ];
    store.append("a", events).await.unwrap();
    let steps = store.steps("a").await.unwrap();
    let told: Vec<_> = steps
        .iter()
        .map(|s| {
            (
                s.task.raw(),
                s.target.as_str(),
                s.attempt,
                s.running,
                s.outcome,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("build", "web-1", 2, true, None),
            ("build", "web-2", 1, false, Some(Outcome::Ok)),
            ("test", "local", 0, false, Some(Outcome::Skipped)),
        ]
    );
    assert!(steps[0].message.is_empty());
    assert_eq!(steps[2].message.raw().len(), 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_write_at_once_share_commits() {
    let (_folder, store) = store();
    store.submit(submission("a")).await.unwrap();
    let store = Arc::new(store);
    let (_, before) = store.commits();
    let writers: Vec<_> = (0..50)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for index in 0..20 {
                    store
                        .append("a", vec![said(format!("{writer}/{index}"))])
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let (requests, commits) = store.commits();
    assert_eq!(requests, 1001);
    assert!(
        commits - before < 500,
        "{} commits for 1000 requests",
        commits - before
    );
    let mut kept = words(&store.events("a", 0, 2000).await.unwrap());
    kept.sort_unstable();
    kept.dedup();
    assert_eq!(kept.len(), 1000);
}

#[tokio::test]
async fn old_runs_go_with_all_that_is_theirs() {
    let (folder, store) = store();
    for (run, seconds) in [("old", 1000), ("new", 5000)] {
        store.submit(submission(run)).await.unwrap();
        store
            .append(run, (0..3000).map(|_| said("x").once("1")).collect())
            .await
            .unwrap();
        store
            .append(run, (0..3000).map(|_| said("x")).collect())
            .await
            .unwrap();
        store
            .finish(run, ending(Outcome::Ok, seconds))
            .await
            .unwrap();
    }
    store.submit(submission("open")).await.unwrap();
    let pruned = store.prune(moment(2000), moment(9000)).await.unwrap();
    assert_eq!((pruned.runs, pruned.events), (1, 3001));
    assert!(matches!(store.run("old").await, Err(Error::NoRun(_))));
    assert_eq!(all_words(&store, "new").await.len(), 3001);
    assert_eq!(store.runs(Filter::default()).await.unwrap().len(), 2);
    // What comes after takes nobody's place.
    store.submit(submission("later")).await.unwrap();
    assert!(all_words(&store, "later").await.is_empty());
    drop(store);
    let connection = rusqlite::Connection::open(folder.path().join("master.db")).unwrap();
    let left: i64 = connection
        .query_row("SELECT count(*) FROM leaving", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_store_from_the_future_is_refused_and_left_as_it_is() {
    let (folder, store) = store();
    drop(store);
    let path = folder.path().join("master.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = Store::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("written by a later version of sloth-runner"),
        "{error}"
    );
    std::fs::write(&path, "garbage ".repeat(1000)).unwrap();
    let error = Store::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is damaged"), "{error}");
}

#[tokio::test]
async fn with_a_scope_one_sees_ones_own_runs_and_those_that_are_all_within_it() {
    let (_folder, store) = store();
    for (id, submitter, reached) in [
        ("mine", "ann", &["web-9"][..]),
        ("within", "bob", &["web-1", "web-2"]),
        ("half", "bob", &["web-1", "db-1"]),
        ("before", "bob", &[]),
    ] {
        let mut wanted = submission(id);
        wanted.submitter = submitter.into();
        wanted.reached = reached.iter().map(ToString::to_string).collect();
        store.submit(wanted).await.unwrap();
    }
    let seen = async |agents: &[&str], target: Option<&str>| {
        let within = Within {
            submitter: "ann".into(),
            agents: agents.iter().map(ToString::to_string).collect(),
        };
        let filter = Filter {
            limit: 2,
            stack: None,
            state: None,
            target: target.map(str::to_owned),
            within: Some(within),
        };
        let runs = store.runs(filter).await.unwrap();
        runs.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    // The limit counts those that are seen.
    assert_eq!(
        seen(&["web-1", "web-2", "o'1\""], None).await,
        ["within", "mine"]
    );
    assert_eq!(seen(&["web-1"], None).await, ["mine"]);
    assert_eq!(seen(&[], None).await, ["mine"]);
    assert!(seen(&["web-1", "web-2"], Some("nowhere")).await.is_empty());
    store
        .finish("within", ending(Outcome::Ok, 5))
        .await
        .unwrap();
    assert_eq!(store.prune(moment(6), moment(7)).await.unwrap().runs, 1);
    assert_eq!(seen(&["web-1", "web-2"], None).await, ["mine"]);
}
