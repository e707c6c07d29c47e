//! Agents, tokens and certificates: each token as often as it is good for, and each name once.

use std::sync::Arc;

use sloth_fleet::pki::Role;
use sloth_fleet::store::master::{Certificate, Error, Greeting, NewToken, Store, TokenRefused};

use super::{moment, store};

fn token(id: &str, uses: u32) -> NewToken {
    NewToken {
        id: id.into(),
        hash: hash(id),
        role: Role::Agent,
        made: moment(1000),
        made_by: "ada".into(),
        expires: moment(2000),
        uses,
        labels: [("role".to_owned(), "web".to_owned())].into(),
        scope: "role=web".into(),
        is_key: false,
    }
}

fn hash(id: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..id.len()].copy_from_slice(id.as_bytes());
    hash
}

fn certificate(serial: &str, name: &str) -> Certificate {
    Certificate {
        serial: serial.into(),
        name: name.into(),
        role: Role::Agent,
        scope: String::new(),
        issued: moment(1000),
        expires: moment(9000),
        revoked: None,
    }
}

fn greeting(name: &str) -> Greeting {
    Greeting {
        name: name.into(),
        version: "1.0".into(),
        labels: [("role".to_owned(), "web\u{1b}".to_owned())].into(),
        facts: vec![0xa0],
        policy: "[files]".into(),
        address: "10.0.0.1:50051".into(),
    }
}

fn refused<T>(answer: Result<T, Error>) -> TokenRefused {
    match answer {
        Err(Error::Token(refused)) => refused,
        Err(error) => panic!("refused for another reason: {error}"),
        Ok(_) => panic!("not refused"),
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_told_apart() {
    let (_folder, store) = store();
    let now = moment(1500);
    for (id, uses) in [("good", 2), ("revoked", 1)] {
        store.add_token(token(id, uses)).await.unwrap();
    }
    let key = NewToken {
        is_key: true,
        ..token("key", 0)
    };
    store.add_token(key).await.unwrap();
    store.revoke_token("revoked").await.unwrap();
    assert_eq!(
        refused(store.spend(hash("other"), now).await),
        TokenRefused::Unknown
    );
    assert_eq!(
        refused(store.spend(hash("revoked"), now).await),
        TokenRefused::Revoked
    );
    assert_eq!(
        refused(store.spend(hash("key"), now).await),
        TokenRefused::IsKey
    );
    assert_eq!(
        refused(store.api_key(hash("good"), now).await),
        TokenRefused::IsToken
    );
    assert_eq!(
        refused(store.spend(hash("good"), moment(2000)).await),
        TokenRefused::Expired
    );
    assert_eq!(
        refused(store.api_key(hash("key"), moment(2000)).await),
        TokenRefused::Expired
    );
    assert_eq!(
        refused(store.revoke_token("other").await),
        TokenRefused::Unknown
    );
    let spent = store.spend(hash("good"), now).await.unwrap();
    assert_eq!(
        (spent.uses_left, spent.scope.as_str(), spent.role),
        (1, "role=web", Role::Agent)
    );
    for _ in 0..3 {
        assert_eq!(store.api_key(hash("key"), now).await.unwrap().id, "key");
    }
    let ids: Vec<_> = store
        .tokens(now)
        .await
        .unwrap()
        .into_iter()
        .map(|t| t.id)
        .collect();
    assert_eq!(ids, ["good", "key"]);
    store.spend(hash("good"), now).await.unwrap();
    assert_eq!(
        refused(store.join_token(hash("good"), now).await),
        TokenRefused::Spent
    );
    assert_eq!(store.tokens(now).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_three_is_spent_three_times_however_many_come_at_once() {
    let (_folder, store) = store();
    store.add_token(token("t", 3)).await.unwrap();
    let store = Arc::new(store);
    let asked: Vec<_> = (0..40)
        .map(|index| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let certificate = certificate(&format!("{index:x}"), &format!("web-{index}"));
                store.enrol(hash("t"), certificate, moment(1500)).await
            })
        })
        .collect();
    let mut spent = 0;
    for answer in asked {
        match answer.await.unwrap() {
            Ok(_) => spent += 1,
            error => assert_eq!(refused(error), TokenRefused::Spent),
        }
    }
    assert_eq!(spent, 3);
}

#[tokio::test]
async fn a_name_is_taken_while_its_certificate_lives_and_its_token_is_not_spent_in_vain() {
    let (_folder, store) = store();
    let now = moment(1500);
    store.add_token(token("t", 9)).await.unwrap();
    let enrol = async |store: &Store, serial: &str, seconds| {
        store
            .enrol(hash("t"), certificate(serial, "web-1"), moment(seconds))
            .await
    };
    enrol(&store, "1", 1500).await.unwrap();
    assert_eq!(
        enrol(&store, "2", 1500).await.unwrap_err(),
        Error::NameTaken("web-1".into())
    );
    assert_eq!(store.join_token(hash("t"), now).await.unwrap().uses_left, 8);
    assert_eq!(
        store
            .live_certificate("web-1", now)
            .await
            .unwrap()
            .unwrap()
            .serial,
        "1"
    );
    assert!(
        store
            .live_certificate("web-1", moment(9000))
            .await
            .unwrap()
            .is_none()
    );
    store.greet(greeting("web-1"), now).await.unwrap();
    assert_eq!(store.remove_agent("web-1", now).await.unwrap(), ["1"]);
    assert_eq!(store.revoked(now).await.unwrap(), ["1"]);
    assert!(store.revoked(moment(9000)).await.unwrap().is_empty());
    assert_eq!(
        store.certificate("1").await.unwrap().unwrap().revoked,
        Some(now)
    );
    assert!(store.agents().await.unwrap().is_empty());
    enrol(&store, "3", 1500).await.unwrap();
    assert_eq!(
        store.revoke_certificates("web-1", now).await.unwrap(),
        ["3"]
    );
    assert!(
        store
            .revoke_certificates("web-1", now)
            .await
            .unwrap()
            .is_empty()
    );
    let gone = store.remove_agent("web-1", now).await.unwrap_err();
    assert_eq!(
        gone.to_string(),
        "there is no agent `web-1`; sloth-runner agent list shows those there are"
    );
}

#[tokio::test]
async fn an_agent_is_as_it_last_said_and_stays_drained() {
    let (_folder, store) = store();
    store.greet(greeting("b"), moment(1)).await.unwrap();
    store.greet(greeting("a"), moment(1)).await.unwrap();
    store.drain("b", true).await.unwrap();
    let newer = Greeting {
        version: "2.0".into(),
        ..greeting("b")
    };
    let agent = store.greet(newer.clone(), moment(5)).await.unwrap();
    assert_eq!(
        (agent.greeting, agent.drained, agent.seen),
        (newer, true, moment(5))
    );
    let signs = vec![
        ("b".to_owned(), moment(4)),
        ("a".to_owned(), moment(7)),
        ("nobody".to_owned(), moment(7)),
    ];
    store.seen(signs).await.unwrap();
    let agents = store.agents().await.unwrap();
    let seen: Vec<_> = agents
        .iter()
        .map(|a| (a.greeting.name.as_str(), a.seen))
        .collect();
    assert_eq!(seen, [("a", moment(7)), ("b", moment(5))]);
    assert!(!store.drain("b", false).await.unwrap().drained);
    assert!(store.drain("c", true).await.is_err());
    assert_eq!(store.agent("a").await.unwrap().greeting, greeting("a"));
}
