//! By what right a person comes, and what the master writes for its own.

use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use sloth_fleet::master::access::admin;
use sloth_fleet::pki::{Clock, Kind, Role};
use sloth_fleet::wire::client::{Access, Places, reach};
use sloth_fleet::wire::generated::ListTokensRequest;
use sloth_fleet::wire::generated::fleet_client::FleetClient;

use super::house::{DAY, House};

#[tokio::test]
async fn the_admins_credential_is_written_once_and_renewed_in_time() {
    let house = House::open().await;
    let folder = house.path("pki");
    let provide = |ahead: u32| {
        let clock = Clock::of(move || SystemTime::now() + DAY * ahead);
        let (house, folder) = (&house, &folder);
        async move {
            admin::provide(folder, &house.authority, &*house.memory, &clock)
                .await
                .unwrap()
        }
    };
    assert!(provide(0).await);
    assert!(!provide(0).await);
    assert!(!provide(59).await);
    let mode = std::fs::metadata(folder.join("admin.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    let places = Places {
        admin: Some(folder.join("admin.pem")),
        ..Places::default()
    };
    let reached = reach(&house.address, &places.find(SystemTime::now()).unwrap())
        .await
        .unwrap();
    FleetClient::new(reached)
        .list_tokens(ListTokensRequest {})
        .await
        .unwrap();

    assert!(provide(61).await);
    // One that the store does not know is of no use, nor is one that others could read.
    house.memory.certificates.lock().unwrap().clear();
    assert!(provide(0).await);
    std::fs::set_permissions(
        folder.join("admin.pem"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    assert!(provide(0).await);
}

#[tokio::test]
async fn the_first_right_that_is_there_counts_and_none_says_where_it_was_looked_for() {
    let house = House::open().await;
    let now = SystemTime::now();
    let (own, admin) = (house.path("own.pem"), house.path("admin.pem"));
    let key = house.token(Kind::Key, Role::Viewer, 1).await;
    let all = Places {
        named: Some(house.path("named.pem")),
        key: Some(key.reveal().to_string()),
        own: Some(own.clone()),
        admin: Some(admin.clone()),
    };
    let name = |access: Access| match access {
        Access::Credential(credential) => credential.identity().subject.name.to_string(),
        Access::Key(_) => "key".to_owned(),
        Access::Insecure => "insecure".to_owned(),
    };
    let error = all.clone().find(now).unwrap_err().to_string();
    assert!(error.contains("named.pem is not there"), "{error}");
    let without_name = Places {
        named: None,
        ..all.clone()
    };
    assert_eq!(name(without_name.clone().find(now).unwrap()), "key");
    let files = Places {
        key: None,
        ..without_name.clone()
    };
    let error = files.clone().find(now).unwrap_err().to_string();
    for part in [
        "own.pem is not there",
        "admin.pem is not there",
        "SLOTH_RUNNER_API_KEY",
        "sloth-runner login",
    ] {
        assert!(error.contains(part), "{error}");
    }
    house
        .credential("root", Role::Admin)
        .await
        .save(&admin)
        .unwrap();
    assert_eq!(name(files.clone().find(now).unwrap()), "root");
    house
        .credential("ana", Role::Operator)
        .await
        .save(&own)
        .unwrap();
    assert_eq!(name(files.clone().find(now).unwrap()), "ana");
    // One that ran out is not passed over for another.
    let late = files.clone().find(now + DAY * 91).unwrap_err().to_string();
    assert!(
        late.contains("certificate of ana has run out") && late.contains("sloth-runner login"),
        "{late}"
    );
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(
        files
            .find(now)
            .unwrap_err()
            .to_string()
            .contains("chmod 600")
    );

    let join = house.token(Kind::Join, Role::Viewer, 1).await;
    let wrong = Places {
        key: Some(join.reveal().to_string()),
        ..Places::default()
    };
    let error = wrong.find(now).unwrap_err().to_string();
    assert!(
        error.contains("a join token, not an API key") && error.contains("sloth-runner login"),
        "{error}"
    );
}
