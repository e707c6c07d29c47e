//! Where the audits of agents ended, as the store keeps it.

use std::collections::BTreeMap;

use sloth_fleet::store::master::{Delivery, Greeting, Happened, Source, Store, ToldHead};
use sloth_sandbox::ports::audit::Head;

use super::{moment, said, store};

fn head(number: u64) -> Head {
    Head {
        number,
        hash: [u8::try_from(number % 256).unwrap(); 32],
    }
}

/// Tells of heads, each at its time; gives the numbers of those that are kept.
async fn told(store: &Store, agent: &str, heads: &[(u64, u64)]) -> Vec<u64> {
    let source = Source {
        agent: agent.into(),
        journal: format!("j{}", heads[0].1),
    };
    let deliver = |(number, (record, seconds)): (u64, &(u64, u64))| Delivery {
        number,
        run: "gone".into(),
        happened: Happened::Event(said("x".to_owned())),
        audit: Some(ToldHead {
            head: head(*record),
            told: moment(*seconds),
        }),
    };
    let batch: Vec<_> = (1..).zip(heads).map(deliver).collect();
    store.deliver(&source, batch).await.unwrap();
    let kept = store.audit_heads(agent).await.unwrap();
    kept.iter().map(|told| told.head.number).collect()
}

async fn greet(store: &Store, name: &str) {
    let greeting = Greeting {
        name: name.into(),
        version: String::new(),
        labels: BTreeMap::new(),
        facts: Vec::new(),
        policy: String::new(),
        address: String::new(),
    };
    store.greet(greeting, moment(0)).await.unwrap();
}

#[tokio::test]
async fn the_last_head_is_kept_and_one_for_about_ten_minutes_before() {
    let (_folder, store) = store();
    greet(&store, "a").await;
    let kept = told(
        &store,
        "a",
        &[(1, 0), (2, 60), (3, 300), (3, 400), (4, 599)],
    )
    .await;
    assert_eq!(kept, [1, 4]);
    let kept = told(&store, "a", &[(5, 700), (6, 800), (9, 1300), (10, 1400)]).await;
    assert_eq!(kept, [1, 5, 9, 10]);
    let last = store.audit_heads("a").await.unwrap().pop().unwrap();
    assert_eq!((last.head, last.told), (head(10), moment(1400)));
}

#[tokio::test]
async fn a_head_that_goes_back_replaces_nothing() {
    let (_folder, store) = store();
    greet(&store, "a").await;
    let kept = told(&store, "a", &[(7, 0), (8, 1), (2, 2), (3, 3)]).await;
    assert_eq!(kept, [7, 8, 2, 3]);
}

#[tokio::test]
async fn heads_go_with_their_agent_and_nobody_else_has_any() {
    let (_folder, store) = store();
    greet(&store, "a").await;
    assert_eq!(told(&store, "a", &[(1, 0)]).await, [1]);
    assert!(told(&store, "local of a run", &[(1, 0)]).await.is_empty());
    store.remove_agent("a", moment(1)).await.unwrap();
    assert!(store.audit_heads("a").await.unwrap().is_empty());
    greet(&store, "a").await;
    assert_eq!(told(&store, "a", &[(1, 5)]).await, [1]);
}

#[tokio::test]
async fn of_one_agent_no_more_than_a_thousand_are_kept() {
    let (_folder, store) = store();
    greet(&store, "a").await;
    let heads: Vec<_> = (1..=1005).map(|number| (number, number * 1000)).collect();
    let kept = told(&store, "a", &heads).await;
    assert_eq!((kept.len(), kept[0], kept[999]), (1000, 6, 1005));
}
