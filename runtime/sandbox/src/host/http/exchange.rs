//! One request over one connection, up to the head of its answer.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::{Method, Request};
use hyper::{Response, client::conn::http1};
use hyper_util::rt::TokioIo;
use sloth_policy::Url;
use tokio::task::AbortHandle;

use super::asked::Asked;
use super::connect::Connection;
use super::head::{Head, TOO_LONG};
use super::{Fetching, failed};

/// Most headers of an answer, and most bytes of its head.
const MOST_HEADERS: usize = 128;
const LONGEST_HEAD: usize = 64 << 10;

/// An answer's head, with the connection that its body comes over.
pub(super) struct Exchanged {
    pub(super) response: Response<Incoming>,
    /// Ends the connection when dropped.
    pub(super) driven: Driven,
}

/// The task that moves a connection's bytes.
pub(super) struct Driven(AbortHandle);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request and waits for the head of its answer. Sets `sent` just before the first byte goes out.
pub(super) async fn exchange(
    connection: Box<dyn Connection>,
    asked: &Asked,
    sent: &AtomicBool,
) -> Fetching<Exchanged> {
    let name = asked.name();
    let over = Arc::new(AtomicBool::new(false));
    let handshake = http1::Builder::new()
        .max_headers(MOST_HEADERS)
        .max_buf_size(LONGEST_HEAD)
        .handshake(TokioIo::new(Head::of(connection, Arc::clone(&over))))
        .await;
    let (mut sender, connection) = match handshake {
        Ok(connected) => connected,
        Err(error) => return failed(format!("{name}: {}", reason(&error))),
    };
    let driving = tokio::spawn(async move {
        // What goes wrong here goes wrong for who waits for the answer too.
        let _ = connection.await;
    });
    let driven = Driven(driving.abort_handle());
    let Some(request) = request(&asked.method, &asked.url, &asked.headers) else {
        return failed(format!("{name}: the URL has no place in a request"));
    };
    sent.store(true, Ordering::Relaxed);
    match sender
        .send_request(request.map(|()| asked.full_body()))
        .await
    {
        Ok(response) => {
            over.store(true, Ordering::Relaxed);
            Ok(Exchanged { response, driven })
        }
        Err(error) => failed(format!("{name}: {}", reason(&error))),
    }
}

fn request(method: &Method, url: &Url, headers: &HeaderMap) -> Option<Request<()>> {
    let mut request = Request::builder()
        .method(method)
        .uri(url.path_and_query())
        .body(())
        .ok()?;
    let host = HeaderValue::from_str(&url.authority()).ok()?;
    request.headers_mut().insert(header::HOST, host);
    let close = HeaderValue::from_static("close");
    request.headers_mut().insert(header::CONNECTION, close);
    request.headers_mut().extend(headers.clone());
    Some(request)
}

/// What the connection itself said.
fn cause(error: &hyper::Error) -> Option<ErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

/// What went wrong between the two programs, in words.
pub(super) fn reason(error: &hyper::Error) -> &'static str {
    // Hyper asks after this one only where it serves.
    if error.is_parse() && error.to_string().contains("too large") {
        "the head of the answer is too long, or has too many headers"
    } else if error.is_parse() {
        "the answer is not HTTP"
    } else if cause(error).is_some_and(|kind| kind == TOO_LONG) {
        "the server goes on without coming to an answer"
    } else if error.is_incomplete_message() || cause(error) == Some(ErrorKind::UnexpectedEof) {
        "the connection ended before the answer did"
    } else {
        "the connection broke"
    }
}
