//! What of the network a confined program has, by port. Needs Landlock ABI 4.

use std::net::{TcpListener, UdpSocket};

use super::*;

/// A probe that may connect to and listen on these ports.
fn held(words: &[&str], connect: &[u16], listen: &[u16], datagrams: bool) -> Stage {
    let mut stage = probe(words);
    stage.confinement.network = Network::Ports {
        connect: connect.to_vec(),
        listen: listen.to_vec(),
        datagrams,
    };
    stage
}

/// Somebody who listens, and the port.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn a_granted_port_is_connected_to_and_no_other() {
    let (_listener, port) = listener();
    let (_other_listener, other) = listener();
    let to = port.to_string();
    assert_eq!(held(&["connect", &to], &[port], &[], false).code().await, 0);
    for granted in [&[other][..], &[]] {
        let mut stage = held(&["connect", &to], granted, &[port], true);
        assert_eq!(stage.code().await, EACCES, "{granted:?}");
        stage.confinement.unix_sockets = true;
        assert_eq!(stage.code().await, EACCES, "{granted:?}");
    }
}

#[tokio::test]
async fn a_connection_is_not_opened_by_sending_either() {
    let (_listener, port) = listener();
    let (_other_listener, other) = listener();
    for verb in ["open-early", "send-early"] {
        let stage = held(&[verb, &port.to_string()], &[other], &[other], true);
        assert_eq!(stage.code().await, EPERM, "{verb}");
    }
}

#[tokio::test]
async fn a_granted_port_is_listened_on_and_no_other() {
    let (held_open, port) = listener();
    drop(held_open);
    let on = port.to_string();
    assert_eq!(held(&["bind", &on], &[], &[port], false).code().await, 0);
    assert_eq!(
        held(&["bind", &on], &[port], &[1], true).code().await,
        EACCES
    );
    assert_eq!(
        held(&["bind", "0"], &[port], &[port], true).code().await,
        EACCES
    );
}

#[tokio::test]
async fn without_a_port_to_listen_on_there_is_no_listening_at_all() {
    // Not even on a port that the kernel would choose.
    assert_eq!(held(&["listen"], &[443], &[], true).code().await, EPERM);
}

#[tokio::test]
async fn datagrams_are_sent_only_where_they_are_granted() {
    let receiver = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let to = receiver.local_addr().unwrap().port().to_string();
    let stage = |datagrams| held(&["datagram", &to], &[443], &[8080], datagrams);
    assert_eq!(stage(false).code().await, EPERM);
    assert_eq!(stage(true).code().await, 0);
    // Who may send datagrams has no streams by it.
    let only = held(&["socket", "2"], &[], &[], true);
    assert_eq!(only.code().await, EPERM);
}

#[tokio::test]
async fn streams_that_the_kernel_holds_to_no_port_are_refused() {
    let (inet, inet6, netlink, packet, vsock) = ("2", "10", "16", "17", "40");
    let (stream, datagram, raw, sequenced) = ("1", "2", "3", "5");
    let (tcp, udp, icmp, sctp, lite, smc, mptcp) = ("6", "17", "1", "132", "136", "256", "262");
    for words in [
        ["protocol", inet, stream, mptcp],
        ["protocol", inet6, stream, mptcp],
        ["protocol", inet, stream, sctp],
        ["protocol", inet, stream, smc],
        ["protocol", inet, sequenced, sctp],
        ["protocol", inet, raw, tcp],
        ["protocol", inet, datagram, icmp],
        ["protocol", inet6, datagram, lite],
        ["protocol", netlink, raw, "0"],
        ["protocol", packet, raw, "0"],
        ["protocol", vsock, stream, "0"],
        ["protocol", "1", stream, "0"],
    ] {
        let code = held(&words, &[443], &[8080], true).code().await;
        assert_eq!(code, EPERM, "{words:?}");
    }
    for words in [
        ["protocol", inet, stream, tcp],
        ["protocol", inet6, stream, "0"],
        ["protocol", inet, datagram, udp],
        ["protocol", inet6, datagram, "0"],
    ] {
        let code = held(&words, &[443], &[], true).code().await;
        assert_eq!(code, 0, "{words:?}");
    }
}

#[tokio::test]
async fn all_of_the_network_is_held_to_no_port() {
    let (_listener, port) = listener();
    let mut stage = probe(&["connect", &port.to_string()]);
    stage.confinement.network = Network::All;
    assert_eq!(stage.code().await, 0);
    let mut stage = probe(&["listen"]);
    stage.confinement.network = Network::All;
    assert_eq!(stage.code().await, 0);
}
