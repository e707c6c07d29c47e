//! What servers may answer to `http`: too much, too slowly, half of it, or in somebody else's name.

use std::time::{Duration, Instant};

use crate::http::{answered, fails, get, world};
use crate::server::{Act, Issued, Server, raw, says};

#[test]
fn who_cannot_be_trusted_is_told_nothing() {
    let to = |certificate: &Issued| {
        let server = Server::secure(certificate, |_| says("200 OK", "", "x"));
        let ran = get(&world(), &format!("https://local.test:{}/", server.port));
        (ran, server.heard())
    };
    let (ran, _) = to(&Issued::trusted("local.test"));
    assert_eq!(ran.outputs(), r#"{"body":1,"code":200}"#);
    for (certificate, why) in [
        (Issued::trusted("other.test"), "not valid for name"),
        (Issued::expired("local.test"), "expired"),
        (Issued::unknown("local.test"), "UnknownIssuer"),
    ] {
        let (ran, heard) = to(&certificate);
        fails(&ran, why);
        assert!(
            ran.ended().contains("failed to trust local.test"),
            "{}",
            ran.ended()
        );
        assert!(heard.is_empty());
    }
    // A server that waits for the rest of what is no request to it.
    let plain = Server::plain(|_| says("200 OK", "", "x"));
    let mut hasty = world();
    hasty.node.web.patience = Duration::from_millis(500);
    let ran = get(&hasty, &format!("https://local.test:{}/", plain.port));
    fails(&ran, "took longer than 500ms");
    let certificate = Issued::trusted("127.0.0.1");
    let by_address = Server::secure(&certificate, |_| says("200 OK", "", "x"));
    let ran = get(&world(), &format!("https://127.0.0.1:{}/", by_address.port));
    assert_eq!(ran.outputs(), r#"{"body":1,"code":200}"#);
}

#[test]
fn an_answer_that_is_too_long_is_an_error() {
    let began = Instant::now();
    let ten_gib = "HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n";
    let flood = || Act::Flood(vec![b'x'; 64 << 10]);
    fails(
        &answered(move |_| vec![Act::Say(ten_gib.into()), flood()]),
        "longer than 16777216 bytes",
    );
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = || {
        let mut chunk = b"10000\r\n".to_vec();
        chunk.extend(vec![b'x'; 0x10000]);
        chunk.extend(b"\r\n");
        Act::Flood(chunk)
    };
    fails(
        &answered(move |_| vec![Act::Say(chunked.into()), chunk()]),
        "longer than 16777216 bytes",
    );
    fails(
        &answered(move |_| vec![Act::Say("HTTP/1.1 200 OK\r\n\r\n".into()), flood()]),
        "longer than 16777216 bytes",
    );
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_head_without_end_is_an_error() {
    fails(
        &answered(|_| {
            vec![
                Act::Say("HTTP/1.1 200 OK\r\n".into()),
                Act::Flood("X-A: b\r\n".into()),
            ]
        }),
        "the head of the answer is too long, or has too many headers",
    );
    fails(
        &answered(|_| {
            vec![
                Act::Say("HTTP/1.1 200 OK\r\nX: ".into()),
                Act::Flood("xxxxxxx".into()),
            ]
        }),
        "the head of the answer is too long, or has too many headers",
    );
    fails(
        &answered(|_| vec![Act::Flood("HTTP/1.1 100 Continue\r\n\r\n".into())]),
        "the server goes on without coming to an answer",
    );
    fails(
        &answered(|_| vec![Act::Flood(b"SSH-2.0-x\r\n".to_vec())]),
        "the answer is not HTTP",
    );
    fails(
        &answered(|_| Vec::new()),
        "the connection ended before the answer did",
    );
}

#[test]
fn an_answer_that_breaks_off_is_an_error_and_never_a_short_body() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabcde\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab",
        "HTTP/2 200\r\n\r\n",
        "HTTP/0.9\r\n\r\n",
    ] {
        let ran = answered(move |_| raw(text));
        assert!(
            ran.ended().starts_with("failed: "),
            "{text:?}: {}",
            ran.ended()
        );
    }
}

#[test]
fn the_oldest_form_of_an_answer_is_read() {
    let ran = answered(|_| raw("HTTP/1.0 200 OK\r\nX: y\r\n\r\nuntil the end"));
    assert_eq!(ran.outputs(), r#"{"body":13,"code":200}"#);
}

#[test]
fn who_drips_is_left_alone() {
    let began = Instant::now();
    let mut world = world();
    world.node.web.patience = Duration::from_millis(400);
    let pause = Duration::from_millis(50);
    let server = Server::plain(move |_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
        vec![Act::Say(head.into()), Act::Drip("x", pause)]
    });
    let url = format!("http://127.0.0.1:{}/", server.port);
    fails(
        &get(&world, &url),
        "less than 1024 bytes of the answer came in 400ms",
    );
    let server = Server::plain(move |_| vec![Act::Drip("H", pause)]);
    let ran = world.run(&format!(
        "local r, why = http.get('http://127.0.0.1:{}/', nil, {{ timeout = '300ms' }}) return false, why",
        server.port
    ));
    assert!(ran.ended().starts_with("failed: "), "{}", ran.ended());
    let server = Server::plain(|_| vec![Act::Wait(Duration::from_mins(1))]);
    let ran = world.run(&format!(
        "local r, why = http.get('http://127.0.0.1:{}/', nil, {{ timeout = '300ms' }}) return false, why",
        server.port
    ));
    fails(&ran, "its time ran out");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn many_long_answers_at_once_do_not_fill_the_node() {
    let server = Server::plain(|_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 12000000\r\n\r\n";
        vec![Act::Say(head.into()), Act::Say(vec![b'x'; 12_000_000])]
    });
    let ran = world().run(&format!(
        "local problem
         parallel.map({{ 1, 2, 3, 4, 5, 6, 7, 8 }}, function()
             local r, why = http.request{{ url = 'http://127.0.0.1:{}/', method = 'GET' }}
             problem = problem or why
         end, 8)
         return false, problem or 'all came'",
        server.port
    ));
    let ended = ran.ended();
    assert!(
        ended.contains("hold more than its memory") || ended.contains("out of memory"),
        "{ended}"
    );
}
