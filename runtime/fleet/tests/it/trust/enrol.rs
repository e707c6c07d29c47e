//! Tokens for certificates.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use sloth_fleet::pki::Clock;
use sloth_fleet::pki::{Digest, Kind, Role, Token};
use sloth_fleet::wire::client::enrolment::{enrol, enrol_agent, renew};
use sloth_fleet::wire::client::{Access, Keeper, reach};
use sloth_fleet::wire::generated::ListAgentsRequest;
use sloth_fleet::wire::generated::fleet_client::FleetClient;

use super::house::{DAY, House};

#[tokio::test]
async fn a_token_becomes_a_certificate_once() {
    let house = House::open().await;
    let token = house.token(Kind::Join, Role::Operator, 1).await;
    let ana = enrol(&house.address, &token, &"ana".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(ana.identity().subject.role, Role::Operator);
    let reached = reach(&house.address, &Access::Credential(Box::new(ana)))
        .await
        .unwrap();
    let answer = FleetClient::new(reached)
        .list_agents(ListAgentsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(answer.message(), "reached");

    let again = enrol(&house.address, &token, &"eve".parse().unwrap())
        .await
        .unwrap_err();
    assert!(
        again
            .to_string()
            .contains("the join token is spent; make another"),
        "{again}"
    );
}

#[tokio::test]
async fn of_many_who_spend_one_token_at_once_one_gets_in() {
    let house = House::open().await;
    let token = house.token(Kind::Join, Role::Agent, 1).await;
    let tries = (0..12).map(|number| {
        let (address, token) = (house.address.clone(), token.clone());
        tokio::spawn(async move {
            enrol(&address, &token, &format!("web-{number}").parse().unwrap())
                .await
                .is_ok()
        })
    });
    let tries: Vec<_> = tries.collect();
    let mut got = 0;
    for one in tries {
        got += usize::from(one.await.unwrap());
    }
    assert_eq!(got, 1);
}

#[tokio::test]
async fn tokens_that_are_over_revoked_unknown_or_for_something_else_are_told_apart() {
    let house = House::open().await;
    let name = "web-01".parse().unwrap();
    let told = async |token: &Token| {
        enrol(&house.address, token, &name)
            .await
            .unwrap_err()
            .to_string()
    };

    let unknown = Token::draw(Kind::Join, house.authority.fingerprint()).unwrap();
    assert!(told(&unknown).await.contains("not known here"));
    // The secret of a key, dressed up as a token, is no token.
    let key = house.token(Kind::Key, Role::Operator, 1).await;
    let dressed = key.reveal().replace("slothkey_", "sloth_");
    assert!(
        told(&Token::parse(&dressed, Kind::Join).unwrap())
            .await
            .contains("not known here")
    );
    let revoked = house.token(Kind::Join, Role::Agent, 1).await;
    house.memory.tokens.lock().unwrap()[0].revoked = true;
    assert!(told(&revoked).await.contains("was revoked"));
    let token = house.token(Kind::Join, Role::Agent, 1).await;
    house.ahead.store(3601, Ordering::SeqCst);
    assert!(told(&token).await.contains("has run out"));
    assert!(house.memory.certificates.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_name_whose_certificate_lives_cannot_be_taken_over_and_can_be_freed() {
    let house = House::open().await;
    let token = house.token(Kind::Join, Role::Agent, 3).await;
    let name = "web-01".parse().unwrap();
    enrol_agent(&house.address, &token, &name).await.unwrap();
    let refused = enrol_agent(&house.address, &token, &name)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("certificate that is good still")
            && refused.contains("agent remove web-01"),
        "{refused}"
    );
    assert_eq!(
        house.memory.tokens.lock().unwrap()[0].uses_left,
        2,
        "a refusal spends nothing"
    );
    house.revoke("web-01").await;
    enrol_agent(&house.address, &token, &name).await.unwrap();
    // Certificates end by themselves as well.
    house.memory.tokens.lock().unwrap()[0].expires += DAY * 100;
    house.ahead.store(91 * 86_400, Ordering::SeqCst);
    // Here the master's certificate was made by a clock that the client does not share, and so is not good yet; the
    // service is asked as if it had come through the door.
    let again = house
        .credential_at("web-02", Role::Agent, SystemTime::now() + DAY * 91)
        .await;
    assert!(again.expires() > SystemTime::now() + DAY * 180);
}

#[tokio::test]
async fn a_token_is_not_sent_to_whoever_has_another_authority() {
    let (house, other) = (House::open().await, House::open().await);
    let token = house.token(Kind::Join, Role::Agent, 1).await;
    let error = enrol(&other.address, &token, &"web-01".parse().unwrap())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("of another authority") && error.contains("nothing was sent"),
        "{error}"
    );
    assert!(
        error.contains(&other.authority.fingerprint().to_string()),
        "{error}"
    );
    assert_eq!(other.memory.asked.load(Ordering::SeqCst), 0);

    let wrong = format!("sloth_{}_{}", *token.secret(), Digest::of(b"nobody"));
    let wrong = Token::parse(&wrong, Kind::Join).unwrap();
    assert!(
        enrol(&house.address, &wrong, &"web-01".parse().unwrap())
            .await
            .is_err()
    );
    assert_eq!(house.memory.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_agent_joins_once_and_keeps_its_certificate_with_a_spent_token_beside_it() {
    let house = House::open().await;
    let token = house.token(Kind::Join, Role::Agent, 1).await;
    let path = house.path("agent.pem");
    let name = "web-01".parse().unwrap();
    let join = |token: Option<Token>| {
        let (path, address, name) = (path.clone(), house.address.clone(), &name);
        async move { Keeper::join(&path, address, name, token.as_ref(), Clock::machine()).await }
    };
    let none = join(None).await.unwrap_err().to_string();
    assert!(
        none.contains("no certificate") && none.contains("--token-file"),
        "{none}"
    );
    let first = join(Some(token.clone())).await.unwrap();
    first.dial().await.unwrap();
    let second = join(Some(token)).await.unwrap();
    join(None).await.unwrap();

    let before = second.watch().borrow().clone();
    second.renew().await.unwrap();
    let after = second.watch().borrow().clone();
    assert_ne!(before.identity().serial, after.identity().serial);
    assert_eq!(before.identity().subject, after.identity().subject);
    let on_disk = join(None)
        .await
        .unwrap()
        .watch()
        .borrow()
        .identity()
        .clone();
    assert_eq!(on_disk.serial, after.identity().serial);

    let other = "web-02".parse().unwrap();
    let error = Keeper::join(&path, house.address.clone(), &other, None, Clock::machine())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is the certificate of the agent web-01"),
        "{error}"
    );

    let late = Clock::of(|| SystemTime::now() + DAY * 91);
    let error = Keeper::join(&path, house.address.clone(), &name, None, late)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has run out"), "{error}");
}

#[tokio::test]
async fn a_certificate_is_renewed_when_two_thirds_are_over_and_never_when_revoked() {
    let house = House::open().await;
    let path = house.path("agent.pem");
    let old = house
        .credential_at("web-01", Role::Agent, SystemTime::now() - DAY * 61)
        .await;
    old.save(&path).unwrap();
    let name = "web-01".parse().unwrap();
    let keeper = Keeper::join(&path, house.address.clone(), &name, None, Clock::machine())
        .await
        .unwrap();
    let mut seen = keeper.watch();
    tokio::select! {
        () = keeper.keep() => unreachable!("it keeps for ever"),
        changed = tokio::time::timeout(Duration::from_secs(10), seen.changed()) => changed.unwrap().unwrap(),
    }
    assert!(seen.borrow().expires() > SystemTime::now() + DAY * 89);

    house.revoke("web-01").await;
    let refused = renew(&house.address, &old).await.unwrap_err();
    assert!(
        refused.is_denied() && refused.to_string().contains("was revoked"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_persons_token_makes_no_agent_and_a_key_renews_nothing() {
    let house = House::open().await;
    let token = house.token(Kind::Join, Role::Viewer, 1).await;
    let error = enrol_agent(&house.address, &token, &"web-01".parse().unwrap())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("makes a person with the role viewer"),
        "{error}"
    );
}
