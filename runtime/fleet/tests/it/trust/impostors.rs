//! Whoever claims to be the master.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sloth_fleet::pki::{Kind, Role};
use sloth_fleet::wire::client::enrolment::enrol;
use sloth_fleet::wire::client::{Access, Address, reach};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::house::House;

/// Serves with the first certificate and the key of a file, shows `chain` with it, and counts what it gets to read.
async fn impostor(own: &str, chain: &[CertificateDer<'static>]) -> (Address, Arc<AtomicUsize>) {
    let mut shown = vec![
        CertificateDer::pem_slice_iter(own.as_bytes())
            .next()
            .unwrap()
            .unwrap(),
    ];
    shown.extend_from_slice(chain);
    let key = PrivateKeyDer::from_pem_slice(own.as_bytes()).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(shown, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let count = read.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut bytes = [0; 1024];
                while let Ok(got @ 1..) = stream.read(&mut bytes).await {
                    count.fetch_add(got, Ordering::SeqCst);
                }
            }
        }
    });
    (address, read)
}

#[tokio::test]
async fn nothing_is_sent_to_whoever_shows_the_authority_without_being_of_it() {
    let (house, evil) = (House::open().await, House::open().await);
    let own = evil.credential("web-01", Role::Agent).await;
    own.save(&evil.path("own.pem")).unwrap();
    let own = std::fs::read_to_string(evil.path("own.pem")).unwrap();
    // The authority's certificate is no secret, and anybody can show it.
    let (address, read) = impostor(&own, &[house.authority.certificate().clone()]).await;

    let token = house.token(Kind::Join, Role::Agent, 1).await;
    assert!(
        enrol(&address, &token, &"web-02".parse().unwrap())
            .await
            .is_err()
    );
    let key = house.token(Kind::Key, Role::Admin, 1).await;
    let error = reach(&address, &Access::Key(key)).await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    let ana = house.credential("ana", Role::Operator).await;
    let error = reach(&address, &Access::Credential(Box::new(ana)))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("of another authority than ours"),
        "{error}"
    );
    assert_eq!(read.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_agent_cannot_play_the_master() {
    let house = House::open().await;
    let own = house.credential("web-01", Role::Agent).await;
    own.save(&house.path("own.pem")).unwrap();
    let own = std::fs::read_to_string(house.path("own.pem")).unwrap();
    let (address, read) = impostor(&own, &[house.authority.certificate().clone()]).await;

    let token = house.token(Kind::Join, Role::Agent, 1).await;
    let error = enrol(&address, &token, &"web-02".parse().unwrap())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("but no master; an agent perhaps"),
        "{error}"
    );
    let ana = house.credential("ana", Role::Operator).await;
    let error = reach(&address, &Access::Credential(Box::new(ana)))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("but no master; an agent perhaps"),
        "{error}"
    );
    assert_eq!(read.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_is_not_there_and_who_speaks_something_else_are_told_apart() {
    let house = House::open().await;
    let ana = Access::Credential(Box::new(house.credential("ana", Role::Operator).await));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut stream, _)) = listener.accept().await {
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let error = reach(&address, &ana).await.unwrap_err().to_string();
    assert!(error.contains("does not speak TLS"), "{error}");

    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = reach(&closed.to_string().parse().unwrap(), &ana)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("nobody listens there"), "{error}");
}
