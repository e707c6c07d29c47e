//! In whose name a session speaks.

use std::time::Duration;

use sloth_fleet::pki::Role;
use sloth_fleet::wire::client::Reached;
use sloth_fleet::wire::generated::session_client::SessionClient;
use sloth_fleet::wire::generated::{Downward, Hello, Upward, upward};
use tokio_stream::StreamExt;
use tonic::{Code, Status, Streaming};

use super::house::House;

async fn hello(
    reached: &Reached,
    name: &str,
    run: Option<&str>,
) -> Result<Streaming<Downward>, Status> {
    let hello = Hello {
        name: name.to_owned(),
        run: run.map(str::to_owned),
        ..Hello::default()
    };
    let first = Upward {
        kind: Some(upward::Kind::Hello(hello)),
    };
    let frames = tokio_stream::once(first).chain(tokio_stream::pending());
    let mut downward = SessionClient::new(reached.clone())
        .control(frames)
        .await?
        .into_inner();
    downward.message().await?;
    Ok(downward)
}

#[tokio::test]
async fn an_agent_speaks_for_its_own_name_and_an_operator_for_one_run() {
    let house = House::open().await;
    let agent = house.reach_as("web-01", Role::Agent).await;
    let operator = house.reach_as("ana", Role::Operator).await;
    hello(&agent, "web-01", None).await.unwrap();
    hello(&operator, "local", Some("run-1")).await.unwrap();
    for (reached, name, run) in [
        (&agent, "web-02", None),
        (&agent, "WEB-01", None),
        (&agent, "", None),
        (&agent, "local", Some("run-1")),
        (&agent, "web-01", Some("run-1")),
        (&operator, "web-01", None),
        (&operator, "ana", None),
        (&operator, "local", None),
        (&operator, "local", Some("")),
    ] {
        let status = hello(reached, name, run).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{name} {run:?}");
    }
}

#[tokio::test]
async fn revocation_ends_a_session_at_once_on_both_sides() {
    let house = House::open().await;
    let agent = house.reach_as("web-01", Role::Agent).await;
    let mut session = hello(&agent, "web-01", None).await.unwrap();
    house.revoke("web-01").await;
    let ended = tokio::time::timeout(Duration::from_secs(1), session.message())
        .await
        .unwrap();
    assert_eq!(ended.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(
        hello(&agent, "web-01", None).await.unwrap_err().code(),
        Code::Unauthenticated
    );
}
