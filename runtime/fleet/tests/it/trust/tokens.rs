//! Tokens and keys, made over the wire.

use sloth_fleet::pki::{Kind, Role, Token};
use sloth_fleet::wire::client::enrolment::enrol;
use sloth_fleet::wire::client::{Access, reach};
use sloth_fleet::wire::generated::fleet_client::FleetClient;
use sloth_fleet::wire::generated::{
    self, CreateTokenRequest, ListTokensRequest, RevokeTokenRequest,
};
use tonic::Code;

use super::house::House;

fn asked(role: generated::Role) -> CreateTokenRequest {
    CreateTokenRequest {
        role: role.into(),
        ..CreateTokenRequest::default()
    }
}

#[tokio::test]
async fn a_token_is_made_shown_once_listed_spent_and_revoked() {
    let house = House::open().await;
    let mut fleet = FleetClient::new(house.reach_as("admin", Role::Admin).await);
    let made = fleet
        .create_token(asked(generated::Role::Agent))
        .await
        .unwrap()
        .into_inner();
    let token = Token::parse(&made.token, Kind::Join).unwrap();
    let info = made.info.unwrap();
    assert_eq!(
        (info.uses_left, info.key, info.made_by.as_str()),
        (1, false, "admin")
    );

    let listed = fleet
        .list_tokens(ListTokensRequest {})
        .await
        .unwrap()
        .into_inner()
        .tokens;
    assert_eq!(listed, vec![info]);
    assert!(!format!("{:?}", house.memory.tokens.lock().unwrap()).contains(&**token.secret()));
    enrol(&house.address, &token, &"web-01".parse().unwrap())
        .await
        .unwrap();
    assert!(
        fleet
            .list_tokens(ListTokensRequest {})
            .await
            .unwrap()
            .into_inner()
            .tokens
            .is_empty()
    );

    let key = CreateTokenRequest {
        key: true,
        scope: "role=web".to_owned(),
        ..asked(generated::Role::Operator)
    };
    let made = fleet.create_token(key).await.unwrap().into_inner();
    let access = Access::Key(Token::parse(&made.token, Kind::Key).unwrap());
    let reached = reach(&house.address, &access).await.unwrap();
    let mut as_key = FleetClient::new(reached);
    assert_eq!(
        as_key
            .get_agent(generated::GetAgentRequest::default())
            .await
            .unwrap_err()
            .message(),
        "reached"
    );
    let revoke = RevokeTokenRequest {
        id: made.info.unwrap().id,
    };
    fleet.revoke_token(revoke).await.unwrap();
    assert!(
        as_key
            .get_agent(generated::GetAgentRequest::default())
            .await
            .unwrap_err()
            .message()
            .contains("revoked")
    );
    let unknown = fleet
        .revoke_token(RevokeTokenRequest {
            id: "nothing\u{1b}[2J".to_owned(),
        })
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert!(!unknown.message().contains('\u{1b}'));
}

#[tokio::test]
async fn what_makes_no_sense_is_not_made() {
    use generated::Role::{Admin, Agent, Operator, Unspecified, Viewer};
    let house = House::open().await;
    let mut fleet = FleetClient::new(house.reach_as("admin", Role::Admin).await);
    let labels = |count: usize| {
        (0..count)
            .map(|number| (format!("key-{number}"), String::new()))
            .collect()
    };
    for (request, told) in [
        (asked(Unspecified), "no role"),
        (
            CreateTokenRequest {
                role: 99,
                ..asked(Agent)
            },
            "no role",
        ),
        (asked(Admin), "no token makes an admin"),
        (
            CreateTokenRequest {
                key: true,
                ..asked(Agent)
            },
            "no API key",
        ),
        (
            CreateTokenRequest {
                scope: "a=b".to_owned(),
                ..asked(Agent)
            },
            "no scope",
        ),
        (
            CreateTokenRequest {
                scope: "and and".to_owned(),
                ..asked(Viewer)
            },
            "no selector",
        ),
        (
            CreateTokenRequest {
                scope: "a=".repeat(1000),
                ..asked(Viewer)
            },
            "at most 1024",
        ),
        (
            CreateTokenRequest {
                labels: labels(1),
                ..asked(Operator)
            },
            "labels are for agents",
        ),
        (
            CreateTokenRequest {
                labels: labels(65),
                ..asked(Agent)
            },
            "at most 64",
        ),
        (
            CreateTokenRequest {
                ttl_s: u64::MAX,
                ..asked(Agent)
            },
            "30 days",
        ),
        (
            CreateTokenRequest {
                ttl_s: 40_000_000,
                key: true,
                ..asked(Viewer)
            },
            "366 days",
        ),
        (
            CreateTokenRequest {
                uses: 2,
                key: true,
                ..asked(Viewer)
            },
            "not used up",
        ),
        (
            CreateTokenRequest {
                uses: u32::MAX,
                ..asked(Agent)
            },
            "10000",
        ),
    ] {
        let status = fleet.create_token(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}");
        assert!(status.message().contains(told), "{request:?}: {status:?}");
    }
    assert!(house.memory.tokens.lock().unwrap().is_empty());
}
