//! Certificates and keys that are no good.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use sloth_fleet::master::Proof;
use sloth_fleet::pki::{Credential, Kind, Role, Subject};
use sloth_fleet::wire::client::{Access, Reached, reach};
use sloth_fleet::wire::generated::fleet_client::FleetClient;
use sloth_fleet::wire::generated::{ListAgentsRequest, WatchRequest};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use super::house::{DAY, House};

impl House {
    fn tls(&self) -> ClientTlsConfig {
        let root = std::fs::read_to_string(self.path("pki/authority.crt")).unwrap();
        ClientTlsConfig::new()
            .domain_name("sloth-master")
            .ca_certificate(Certificate::from_pem(root))
    }

    async fn connect(&self, tls: ClientTlsConfig) -> Result<Channel, String> {
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).unwrap();
        endpoint
            .tls_config(tls)
            .unwrap()
            .connect()
            .await
            .map_err(|error| format!("{error:?}"))
    }

    /// A connection that shows nothing.
    pub(crate) async fn stranger(&self) -> Reached {
        // A key that is none, taken out again.
        let channel = self.connect(self.tls()).await.unwrap();
        reach::silent(channel)
    }

    async fn as_identity(&self, pem: String) -> Result<(), String> {
        let channel = self
            .connect(self.tls().identity(Identity::from_pem(&pem, &pem)))
            .await?;
        let answer = FleetClient::new(channel)
            .list_agents(ListAgentsRequest::default())
            .await;
        match answer.unwrap_err() {
            status if status.message() == "reached" => Ok(()),
            status => Err(format!("{status:?}")),
        }
    }

    fn pem(&self, credential: &Credential) -> String {
        let path = self.path("shown.pem");
        credential.save(&path).unwrap();
        std::fs::read_to_string(path).unwrap()
    }
}

async fn list(reached: &Reached) -> Status {
    FleetClient::new(reached.clone())
        .list_agents(ListAgentsRequest::default())
        .await
        .unwrap_err()
}

#[tokio::test]
async fn no_certificate_is_nobody() {
    let house = House::open().await;
    let status = list(&house.stranger().await).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(
        status
            .message()
            .contains("neither a certificate nor an API key"),
        "{status:?}"
    );
    let good = house.credential("ana", Role::Viewer).await;
    house.as_identity(house.pem(&good)).await.unwrap();
}

#[tokio::test]
async fn certificates_of_others_of_oneself_and_of_yesterday_are_refused() {
    let (house, other) = (House::open().await, House::open().await);
    let foreign = other.credential("ana", Role::Admin).await;
    let error = house.as_identity(other.pem(&foreign)).await.unwrap_err();
    assert!(
        error.contains("UnknownCA") || error.contains("DecryptError"),
        "{error}"
    );

    let key = KeyPair::generate().unwrap();
    let mut own = CertificateParams::new(vec!["sloth-master".to_owned()]).unwrap();
    own.distinguished_name
        .push(rcgen::DnType::OrganizationalUnitName, "admin");
    let own = own.self_signed(&key).unwrap();
    assert!(
        house
            .as_identity(format!("{}{}", own.pem(), key.serialize_pem()))
            .await
            .is_err()
    );

    let old = house
        .credential_at("old", Role::Admin, SystemTime::now() - DAY * 91)
        .await;
    let error = house.as_identity(house.pem(&old)).await.unwrap_err();
    assert!(error.contains("Expired"), "{error}");
    let early = house
        .credential_at("early", Role::Admin, SystemTime::now() + DAY)
        .await;
    assert!(house.as_identity(house.pem(&early)).await.is_err());

    // Signed by us, but not to be found in the store.
    let subject = Subject {
        name: "lost".parse().unwrap(),
        role: Role::Admin,
    };
    let lost = Credential::signed(&house.authority, &subject, SystemTime::now()).unwrap();
    let error = house.as_identity(house.pem(&lost)).await.unwrap_err();
    assert!(error.contains("not known here"), "{error}");
}

#[tokio::test]
async fn a_revoked_certificate_ends_open_streams_at_once_and_opens_no_others() {
    let house = House::open().await;
    let ana = house.reach_as("ana", Role::Operator).await;
    let bob = house.reach_as("bob", Role::Operator).await;
    let watch = |reached: &Reached| {
        let mut client = FleetClient::new(reached.clone());
        async move {
            client
                .watch(WatchRequest::default())
                .await
                .unwrap()
                .into_inner()
        }
    };
    let (mut of_ana, mut of_bob) = (watch(&ana).await, watch(&bob).await);
    house.revoke("ana").await;
    let ended = tokio::time::timeout(Duration::from_secs(1), of_ana.message())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(
        (ended.code(), ended.message()),
        (Code::Unauthenticated, "the certificate was revoked")
    );
    assert!(
        tokio::time::timeout(Duration::from_millis(100), of_bob.message())
            .await
            .is_err()
    );
    assert_eq!(list(&ana).await.message(), "the certificate was revoked");
    assert_eq!(list(&bob).await.message(), "reached");
}

#[tokio::test]
async fn a_certificate_that_runs_out_on_an_open_connection_makes_no_more_calls() {
    let house = House::open().await;
    let ana = house.reach_as("ana", Role::Operator).await;
    assert_eq!(list(&ana).await.message(), "reached");
    house.ahead.store(91 * 86_400, Ordering::SeqCst);
    assert_eq!(list(&ana).await.message(), "the certificate has run out");
}

#[tokio::test]
async fn a_key_works_until_it_is_revoked_or_over_and_only_as_a_key() {
    let house = House::open().await;
    let key = house.token(Kind::Key, Role::Viewer, 1).await;
    let id = house.memory.tokens.lock().unwrap()[0].id.clone();
    let reached = reach(&house.address, &Access::Key(key.clone()))
        .await
        .unwrap();
    assert_eq!(list(&reached).await.message(), "reached");
    let mut watch = FleetClient::new(reached.clone())
        .watch(WatchRequest::default())
        .await
        .unwrap()
        .into_inner();
    house.memory.tokens.lock().unwrap()[0].revoked = true;
    house.revocations.revoke([Proof::Key(id)]);
    let ended = tokio::time::timeout(Duration::from_secs(1), watch.message())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(ended.message(), "the API key was revoked");
    assert_eq!(list(&reached).await.message(), "the API key was revoked");

    let over = house.token(Kind::Key, Role::Viewer, 1).await;
    let reached = reach(&house.address, &Access::Key(over)).await.unwrap();
    house.memory.tokens.lock().unwrap()[0].expires = SystemTime::now();
    assert_eq!(list(&reached).await.message(), "the API key has run out");
}

#[tokio::test]
async fn what_is_no_key_is_refused_by_what_it_is() {
    let (house, other) = (House::open().await, House::open().await);
    let foreign = other.token(Kind::Key, Role::Admin, 1).await;
    let unknown = sloth_fleet::pki::Token::draw(Kind::Key, house.authority.fingerprint()).unwrap();
    let join = house.token(Kind::Join, Role::Operator, 1).await;
    let dressed = join.reveal().replace("sloth_", "slothkey_");
    let good = house.token(Kind::Key, Role::Admin, 1).await;
    let channel = house.connect(house.tls()).await.unwrap();
    let with = async |values: &[&str]| {
        let mut request = Request::new(ListAgentsRequest::default());
        for value in values {
            request
                .metadata_mut()
                .append("authorization", value.parse().unwrap());
        }
        let status = FleetClient::new(channel.clone())
            .list_agents(request)
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{values:?}");
        status.message().to_owned()
    };
    assert!(with(&["hunter2"]).await.contains("not of the form"));
    assert!(with(&["Basic YTpi"]).await.contains("not of the form"));
    assert!(with(&["Bearer "]).await.contains("is empty"));
    assert!(with(&["Bearer x"]).await.contains("not an API key"));
    assert!(
        with(&[&format!("Bearer {}", *join.reveal())])
            .await
            .contains("a join token, not an API key")
    );
    assert!(
        with(&[&format!("Bearer {dressed}")])
            .await
            .contains("not known here")
    );
    assert!(
        with(&[&format!("Bearer {}", *foreign.reveal())])
            .await
            .contains("another master")
    );
    assert!(
        with(&[&format!("Bearer {}", *unknown.reveal())])
            .await
            .contains("not known here")
    );
    let key = format!("Bearer {}", *good.reveal());
    assert!(with(&[&key, &key]).await.contains("more than one proof"));

    let agent = house.credential("web-01", Role::Agent).await;
    let both = house
        .tls()
        .identity(Identity::from_pem(house.pem(&agent), house.pem(&agent)));
    let mut request = Request::new(ListAgentsRequest::default());
    request
        .metadata_mut()
        .insert("authorization", key.parse().unwrap());
    let status = FleetClient::new(house.connect(both).await.unwrap())
        .list_agents(request)
        .await
        .unwrap_err();
    assert!(
        status.message().contains("more than one proof"),
        "{status:?}"
    );
}
