//! Too much, too slow, too large.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sloth_fleet::master::access::doors::Closed;
use sloth_fleet::master::{Doors, Limits, Revocations, Security};
use sloth_fleet::pki::{Clock, Pinned, Role};
use sloth_fleet::telemetry::Telemetry;
use sloth_fleet::wire::client::{Access, reach};
use sloth_fleet::wire::generated::fleet_client::FleetClient;
use sloth_fleet::wire::generated::session_client::SessionClient;
use sloth_fleet::wire::generated::{Certificate, EnrolRequest, Piece};
use sloth_fleet::wire::generated::{ListAgentsRequest, SubmitRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;
use tonic::service::Routes;

use super::house::House;

async fn answers(house: &House) {
    let ana = house.credential("ana", Role::Operator).await;
    let until = Instant::now() + Duration::from_secs(20);
    let reached = loop {
        match reach(&house.address, &Access::Credential(Box::new(ana.clone()))).await {
            Ok(reached) => break reached,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let status = FleetClient::new(reached)
        .list_agents(ListAgentsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.message(), "reached");
}

#[tokio::test]
async fn ten_thousand_who_connect_and_leave_hold_up_nobody() {
    let house = House::open().await;
    for round in 0..100 {
        let mut open = Vec::new();
        for _ in 0..100 {
            open.push(TcpStream::connect(house.socket).await.unwrap());
        }
        if round == 50 {
            answers(&house).await;
        }
    }
    answers(&house).await;
}

#[tokio::test]
async fn who_is_slow_is_put_out_and_holds_up_nobody() {
    let limits = Limits {
        handshake: Duration::from_millis(600),
        handshakes_of_one: 40,
        ..Limits::of_process()
    };
    let house = House::with(limits, false).await;
    let mut slow = Vec::new();
    for _ in 0..39 {
        let mut stream = TcpStream::connect(house.socket).await.unwrap();
        // The beginning of a handshake, and then a byte now and then.
        stream
            .write_all(&[0x16, 0x03, 0x01, 0x02, 0x00])
            .await
            .unwrap();
        slow.push(stream);
    }
    // There is one place left, and nobody waits behind the others.
    answers(&house).await;
    let begun = Instant::now();
    for stream in &mut slow {
        let _ = stream.write_all(&[1]).await;
        assert!(matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_)));
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    answers(&house).await;
}

#[tokio::test]
async fn who_shows_nothing_may_not_stay() {
    let limits = Limits {
        patience: Duration::from_millis(400),
        ..Limits::of_process()
    };
    let house = House::with(limits, false).await;
    let key = house
        .token(sloth_fleet::pki::Kind::Key, Role::Viewer, 1)
        .await;
    let keyed = reach(&house.address, &Access::Key(key)).await.unwrap();
    let mut watch = FleetClient::new(keyed)
        .watch(sloth_fleet::wire::generated::WatchRequest::default())
        .await
        .unwrap()
        .into_inner();
    // Of a connection that is taken up again by itself nobody would see that it was cut.
    let pinned = Arc::new(Pinned::to(house.authority.fingerprint()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut tls = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(pinned)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(house.socket).await.unwrap();
    let name = "sloth-master".try_into().unwrap();
    let mut stranger = tokio_rustls::TlsConnector::from(Arc::new(tls))
        .connect(name, stream)
        .await
        .unwrap();
    stranger
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let begun = Instant::now();
    let put_out = tokio::time::timeout(
        Duration::from_secs(5),
        stranger.read_to_end(&mut Vec::new()),
    )
    .await;
    let _ = put_out.expect("it is put out");
    assert!(begun.elapsed() > Duration::from_millis(200));
    // The key was shown, and its stream goes on.
    assert!(
        tokio::time::timeout(Duration::from_millis(900), watch.message())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn revoked_certificates_take_no_places_of_good_ones() {
    let limits = Limits {
        anonymous: 1,
        ..Limits::of_process()
    };
    let house = House::with(limits, false).await;
    let bad = Access::Credential(Box::new(house.credential("eve", Role::Operator).await));
    house.revoke("eve").await;
    let first = reach(&house.address, &bad).await.unwrap();
    let told = FleetClient::new(first.clone())
        .list_agents(ListAgentsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(told.message(), "the certificate was revoked");
    // The one place for those who show nothing good is taken; others are cut off.
    let mut cut = 0;
    for _ in 0..20 {
        let Ok(next) = reach(&house.address, &bad).await else {
            cut += 1;
            continue;
        };
        let status = FleetClient::new(next)
            .list_agents(ListAgentsRequest::default())
            .await
            .unwrap_err();
        cut += usize::from(status.code() != Code::Unauthenticated);
    }
    assert_eq!(cut, 20);
    answers(&house).await;
    drop(first);
}

#[tokio::test]
async fn no_name_takes_all_connections() {
    let limits = Limits {
        of_one_name: 2,
        ..Limits::of_process()
    };
    let house = House::with(limits, false).await;
    let greedy = house.credential("greedy", Role::Agent).await;
    let greedy = Access::Credential(Box::new(greedy));
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..4 {
        let Ok(next) = reach(&house.address, &greedy).await else {
            refused += 1;
            continue;
        };
        let asked = FleetClient::new(next.clone())
            .list_agents(ListAgentsRequest::default())
            .await;
        if asked.unwrap_err().code() == Code::PermissionDenied {
            held.push(next);
        } else {
            refused += 1;
        }
    }
    assert_eq!((held.len(), refused), (2, 2));
    answers(&house).await;
}

#[tokio::test]
async fn who_has_shown_nothing_has_few_calls_at_once() {
    let house = House::open().await;
    let unknown =
        sloth_fleet::pki::Token::draw(sloth_fleet::pki::Kind::Key, house.authority.fingerprint());
    let reached = reach(&house.address, &Access::Key(unknown.unwrap()))
        .await
        .unwrap();
    let mut pending = Vec::new();
    // Each begins to join, and never says as who.
    let begin = || {
        let mut client = tonic::client::Grpc::new(reached.clone());
        tokio::spawn(async move {
            client.ready().await.map_err(|_| ()).unwrap();
            let codec = tonic_prost::ProstCodec::<EnrolRequest, Certificate>::default();
            let path = "/sloth.v1.Enrolment/Enrol".parse().unwrap();
            let silent = tonic::Request::new(tokio_stream::pending());
            client.client_streaming(silent, path, codec).await.map(drop)
        })
    };
    for _ in 0..4 {
        pending.push(begin());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(pending.iter().all(|call| !call.is_finished()));
    let fifth = begin().await.unwrap().unwrap_err();
    assert_eq!(fifth.code(), Code::ResourceExhausted, "{fifth:?}");
    answers(&house).await;
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_the_connection_lives() {
    let house = House::open().await;
    let ana = house.reach_as("ana", Role::Operator).await;
    let mut fleet = FleetClient::new(ana.clone());
    let large = SubmitRequest {
        plan: vec![0; 5 << 20],
        ..SubmitRequest::default()
    };
    let status = fleet.submit(large).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    let piece = Piece {
        data: vec![0; 5 << 20].into(),
        ..Piece::default()
    };
    let status = SessionClient::new(ana)
        .keep(tokio_stream::once(piece))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert_eq!(
        fleet
            .list_agents(ListAgentsRequest::default())
            .await
            .unwrap_err()
            .message(),
        "reached"
    );
}

#[tokio::test]
async fn bytes_that_are_no_tls_and_frames_that_are_no_http_end_their_own_connection_only() {
    let house = House::open().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 4096],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(house.socket).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
            .await
            .unwrap();
    }
    answers(&house).await;
}

#[tokio::test]
async fn insecure_is_for_loopback_and_makes_everybody_an_admin() {
    let house = House::with(Limits::of_process(), true).await;
    let reached = reach(&house.address, &Access::Insecure).await.unwrap();
    let tokens = FleetClient::new(reached)
        .list_tokens(sloth_fleet::wire::generated::ListTokensRequest {})
        .await;
    assert!(tokens.unwrap().into_inner().tokens.is_empty());
    let elsewhere = "fleet.example.com:1".parse().unwrap();
    assert!(
        reach(&elsewhere, &Access::Insecure)
            .await
            .unwrap_err()
            .to_string()
            .contains("loopback only")
    );

    let doors = Doors {
        listener: TcpListener::bind("0.0.0.0:0").await.unwrap(),
        security: Security::Insecure,
        registrar: house.memory.clone(),
        revocations: Revocations::new(Clock::machine()),
        limits: Limits::of_process(),
        clock: Clock::machine(),
        telemetry: Telemetry::off(),
    };
    let closed = doors
        .serve(Routes::default(), std::future::pending())
        .await
        .unwrap_err();
    assert!(matches!(closed, Closed::NotLoopback(_)));
    assert!(closed.to_string().contains("bind to 127.0.0.1"), "{closed}");
}
