//! Deliveries: however they are split, repeated and lost, each event is kept once, in its agent's order.

use proptest::prelude::*;
use sloth_fleet::store::master::{
    Call, CallEnd, Delivery, Error, Happened, Opening, Source, Store,
};

use super::{all_words, said, store, submission};

fn source() -> Source {
    Source {
        agent: "web-1".into(),
        journal: "j".into(),
    }
}

fn event(number: u64, run: &str) -> Delivery {
    Delivery {
        number,
        run: run.into(),
        happened: Happened::Event(said(format!("{run}{number}"))),
        audit: None,
    }
}

fn end(number: u64, fence: u64) -> Delivery {
    Delivery {
        number,
        run: "a".into(),
        happened: Happened::End {
            call: 1,
            fence,
            end: CallEnd {
                finished: vec![7],
                interrupted: false,
            },
        },
        audit: None,
    }
}

/// Opens a call at an agent, which is there if it has a journal.
async fn open(store: &Store, run: &str, key: &str, journal: Option<&str>) -> (Call, bool) {
    let opening = Opening {
        key: key.into(),
        agent: "web-1".into(),
        journal: journal.map(str::to_owned),
    };
    let opened = store.open_calls(run, Vec::new(), vec![opening]).await;
    opened.unwrap().1.remove(0)
}

/// Two runs in which the agent has a call each.
async fn prepared() -> (tempfile::TempDir, Store) {
    let (folder, store) = store();
    for run in ["a", "b"] {
        store.submit(submission(run)).await.unwrap();
        open(&store, run, "k", None).await;
    }
    (folder, store)
}

#[tokio::test]
async fn what_is_kept_is_skipped_and_a_gap_is_refused_whole() {
    let (_folder, store) = prepared().await;
    let batch = vec![event(1, "a"), event(2, "b"), event(3, "a")];
    let delivered = store.deliver(&source(), batch.clone()).await.unwrap();
    assert_eq!(delivered.kept, 3);
    assert_eq!(
        delivered.grown,
        [("a".to_owned(), 2), ("b".to_owned(), 1)].into()
    );
    let again = store.deliver(&source(), batch).await.unwrap();
    assert_eq!((again.kept, again.grown.values().sum::<u64>()), (3, 0));
    let gap = store
        .deliver(&source(), vec![event(4, "a"), event(6, "a")])
        .await;
    assert_eq!(gap.unwrap_err(), Error::Gap { kept: 4, came: 6 });
    assert_eq!(store.kept(&source()).await.unwrap(), 3);
    assert_eq!(all_words(&store, "a").await, ["a1", "a3"]);
    let other = Source {
        journal: "another".into(),
        ..source()
    };
    let beginning = store.deliver(&other, vec![event(2, "a")]).await;
    assert_eq!(beginning.unwrap_err(), Error::Gap { kept: 0, came: 2 });
}

#[tokio::test]
async fn an_end_closes_its_call_only_under_the_current_fence() {
    let (_folder, store) = prepared().await;
    assert_eq!(store.give_out("a", 1, "j").await.unwrap(), 1);
    assert_eq!(store.give_out("a", 1, "j").await.unwrap(), 2);
    let late = store.deliver(&source(), vec![end(1, 1)]).await.unwrap();
    assert_eq!((late.kept, late.dropped, late.ended.len()), (1, 1, 0));
    let known = vec![("a".to_owned(), 1), ("a".to_owned(), 9)];
    let settled = store.settled_calls("web-1", known.clone()).await.unwrap();
    assert_eq!(settled, [("a".to_owned(), 9)].into());
    let elsewhere = store.settled_calls("web-2", known).await.unwrap();
    assert_eq!(elsewhere.len(), 2);
    let right = store
        .deliver(&source(), vec![end(2, 2), end(3, 2)])
        .await
        .unwrap();
    assert_eq!((right.ended, right.dropped), (vec![("a".to_owned(), 1)], 1));
    let call = store.call("a", 1).await.unwrap();
    assert_eq!(call.end.unwrap().finished, [7]);
    assert!(matches!(
        store.give_out("a", 1, "j").await,
        Err(Error::CallEnded { .. })
    ));
    assert!(matches!(
        store.give_out("a", 9, "j").await,
        Err(Error::NoCall { .. })
    ));
    let ended = CallEnd {
        finished: vec![8],
        interrupted: false,
    };
    assert!(!store.end_call("a", 1, ended.clone()).await.unwrap());
    assert!(store.end_call("a", 9, ended).await.is_err());
}

#[tokio::test]
async fn a_call_is_found_again_by_its_key_and_ended_from_here() {
    let (_folder, store) = prepared().await;
    let (first, _) = open(&store, "a", "k", None).await;
    let (second, given) = open(&store, "a", "other", Some("j")).await;
    assert_eq!(
        (given, second.fence, second.journal.as_str()),
        (true, 1, "j")
    );
    assert_eq!((first.number, second.number), (1, 2));
    store.give_out("a", 2, "j").await.unwrap();
    let end = CallEnd {
        finished: vec![],
        interrupted: true,
    };
    assert!(store.end_call("a", 2, end.clone()).await.unwrap());
    assert_eq!(open(&store, "a", "other", Some("i")).await.0.end, Some(end));
    // Who had it is fenced off.
    assert_eq!(store.call("a", 2).await.unwrap().fence, 3);
}

#[tokio::test]
async fn an_agent_speaks_only_for_runs_it_takes_part_in() {
    let (_folder, store) = prepared().await;
    let eve = Source {
        agent: "eve".into(),
        journal: "j".into(),
    };
    store.give_out("a", 1, "j").await.unwrap();
    let batch = vec![event(1, "a"), end(2, 1), event(3, "gone")];
    let delivered = store.deliver(&eve, batch).await.unwrap();
    assert_eq!((delivered.kept, delivered.dropped), (3, 3));
    assert!(all_words(&store, "a").await.is_empty());
    assert!(store.call("a", 1).await.unwrap().end.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// The agent's side: batches of any length from anywhere at or before what was kept, some of which come again,
    /// or too early.
    #[test]
    fn any_split_repeat_and_reordering_gives_each_event_once_and_in_order(
        total in 1_u64..60,
        sends in prop::collection::vec((0_u64..60, 1_u64..20), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (_folder, store) = prepared().await;
            let run = |number: u64| if number.is_multiple_of(3) { "b" } else { "a" };
            let mut kept = 0;
            for (from, length) in sends {
                let batch: Vec<_> = (from + 1..=(from + length).min(total)).map(|n| event(n, run(n))).collect();
                let last = batch.last().map_or(0, |delivery| delivery.number);
                match store.deliver(&source(), batch).await {
                    Ok(delivered) => {
                        kept = kept.max(last);
                        assert_eq!(delivered.kept, kept);
                    }
                    Err(error) => assert!(matches!(error, Error::Gap { kept: k, .. } if k == kept)),
                }
            }
            // In the end everything comes through.
            while kept < total {
                let next = kept + 1;
                kept = store.deliver(&source(), vec![event(next, run(next))]).await.unwrap().kept;
            }
            for name in ["a", "b"] {
                let wanted: Vec<_> =
                    (1..=total).filter(|n| run(*n) == name).map(|n| format!("{name}{n}")).collect();
                assert_eq!(all_words(&store, name).await, wanted);
            }
        });
    }
}

#[tokio::test]
async fn journals_that_nobody_comes_back_with_go_with_old_runs() {
    let (_folder, store) = prepared().await;
    let of = |agent: &str, journal: &str| Source {
        agent: agent.into(),
        journal: journal.into(),
    };
    let all = [of("web-1", "lost"), of("web-1", "last"), of("local/a", "l")];
    for source in &all {
        store.deliver(source, vec![event(1, "b")]).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    }
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
    store
        .prune(super::moment(1), super::moment(2))
        .await
        .unwrap();
    for source in &all {
        assert_eq!(store.kept(source).await.unwrap(), 1, "they are young");
    }
    store.prune(later, later).await.unwrap();
    let mut kept = Vec::new();
    for source in &all {
        kept.push(store.kept(source).await.unwrap());
    }
    assert_eq!(kept, [0, 1, 0]);
}
