//! Every method, by every role: from the contract's own description, so that a new method cannot be forgotten.

use std::collections::BTreeSet;

use prost::Message;
use sloth_fleet::master::allowlist::METHODS;
use sloth_fleet::pki::{Kind, Role};
use sloth_fleet::wire::DESCRIPTORS;
use sloth_fleet::wire::client::{Access, Reached, reach};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::house::House;

/// The methods of the contract that a master serves.
fn described() -> BTreeSet<String> {
    let set = prost_types::FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let services = set
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file, service)));
    services
        .filter(|(_, service)| service.name() != "Agent")
        .flat_map(|(file, service)| {
            let name = |method: &prost_types::MethodDescriptorProto| {
                format!("{}.{}/{}", file.package(), service.name(), method.name())
            };
            service.method.iter().map(name).collect::<Vec<_>>()
        })
        .collect()
}

/// Calls a method with an empty message. Some answer only when more comes, which is an answer too.
async fn call(reached: Reached, method: &str) -> Status {
    let mut client = Grpc::new(reached);
    client.ready().await.unwrap();
    let path: PathAndQuery = format!("/{method}").parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    let called = client.server_streaming(Request::new(()), path, codec);
    let answered = tokio::time::timeout(std::time::Duration::from_millis(300), async {
        called.await?.into_inner().message().await
    });
    match answered.await {
        Ok(Ok(_)) | Err(_) => Status::ok(""),
        Ok(Err(status)) => status,
    }
}

fn refused(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied
    )
}

#[test]
fn every_method_of_the_contract_has_a_rule_and_every_rule_a_method() {
    let listed: BTreeSet<_> = METHODS
        .iter()
        .map(|(method, _)| (*method).to_owned())
        .collect();
    assert_eq!(listed.len(), METHODS.len(), "a method is listed twice");
    let ours = listed
        .iter()
        .filter(|method| method.starts_with("sloth."))
        .cloned()
        .collect();
    assert_eq!(described(), ours);
}

#[tokio::test]
async fn who_may_call_what() {
    // Each method with those who may, written down a second time on purpose.
    let table = |method: &str| -> &[&str] {
        match method.split_once('/').unwrap() {
            ("sloth.v1.Enrolment", "Enrol") | ("grpc.health.v1.Health", "Check") => {
                &["nobody", "agent", "viewer", "operator", "admin", "key"]
            }
            ("sloth.v1.Enrolment", "Renew") => &["agent", "viewer", "operator", "admin"],
            ("sloth.v1.Session", _) => &["agent", "operator", "admin"],
            // For itself, which its service sees to.
            ("sloth.v1.Fleet", "GetAgent") => &["agent", "viewer", "operator", "admin", "key"],
            ("sloth.v1.Fleet", "Watch" | "GetRun" | "ListRuns" | "ListAgents")
            | (
                "grpc.health.v1.Health"
                | "grpc.reflection.v1.ServerReflection"
                | "grpc.reflection.v1alpha.ServerReflection",
                _,
            ) => &["viewer", "operator", "admin", "key"],
            ("sloth.v1.Fleet", "Upload" | "Submit" | "Cancel" | "Resume") => &["operator", "admin"],
            ("sloth.v1.Fleet", _) => &["admin"],
            _ => panic!("{method} is not in the table"),
        }
    };
    let house = House::open().await;
    let mut callers = vec![];
    for role in Role::ALL {
        callers.push((
            role.as_str(),
            house.reach_as(&format!("a-{role}"), role).await,
        ));
    }
    // A viewer's.
    let key = house.token(Kind::Key, Role::Viewer, 1).await;
    callers.push((
        "key",
        reach(&house.address, &Access::Key(key)).await.unwrap(),
    ));
    let stranger = house.stranger().await;
    callers.push(("nobody", stranger));
    for (method, _) in METHODS {
        for (who, reached) in &callers {
            let status = call(reached.clone(), method).await;
            // An empty token is refused by the service itself, and not at the door.
            let at_the_door = refused(&status) && !status.message().contains("join token");
            assert_eq!(
                !at_the_door,
                table(method).contains(who),
                "{who} calls {method}: {status:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_not_listed_is_for_nobody() {
    let house = House::open().await;
    let admin = house.reach_as("admin", Role::Admin).await;
    for method in [
        "sloth.v1.Fleet/Nothing",
        "sloth.v1.Agent/Describe",
        "sloth.v1.Fleet/submit",
        "sloth.v1.Fleet/Submit/",
        "/sloth.v1.Fleet/Submit",
        "grpc.health.v1.Health/List",
        "x",
    ] {
        let status = call(admin.clone(), method).await;
        assert_eq!(status.code(), Code::PermissionDenied, "{method}");
    }
    let stranger = house.stranger().await;
    assert_eq!(
        call(stranger, "sloth.v1.Fleet/Nothing").await.code(),
        Code::Unauthenticated
    );
}
