//! The pages that scrapers and probes fetch: `/metrics`, `/health` and `/ready`. Whoever reaches the port may read them,
//! and can do nothing else: what is asked is small and answered once, in a limited time, and few ask at once.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::subject::{Sight, Subject};
use super::telemetry::Telemetry;
use super::text::FORMAT;

/// Most connections at once.
const AT_ONCE: usize = 16;
/// How long a request may take to come.
const COMING: Duration = Duration::from_secs(5);
/// How long one connection may last.
const WHOLE: Duration = Duration::from_secs(10);
/// How long looking at the node may take.
const LOOK: Duration = Duration::from_secs(3);
/// Largest head of a request.
const HEAD: usize = 16 << 10;
/// Most headers of one.
const HEADERS: usize = 64;

/// What is answered, and of whom.
struct Pages {
    telemetry: Telemetry,
    subject: Arc<dyn Subject>,
}

/// Answers for as long as this is awaited.
pub async fn serve(listener: TcpListener, telemetry: Telemetry, subject: Arc<dyn Subject>) {
    let pages = Arc::new(Pages { telemetry, subject });
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Who finds no place is cut off: waiting would fill the machine with those who wait.
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                        continue;
                    };
                    let pages = Arc::clone(&pages);
                    under_way.spawn(async move {
                        let _place = place;
                        pages.converse(stream).await;
                    });
                }
                Err(error) => {
                    tracing::warn!("failed to take in a connection for metrics: {error}");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = under_way.join_next() => {}
        }
    }
}

impl Pages {
    async fn converse(self: Arc<Self>, stream: TcpStream) {
        let answering = service_fn(move |request| {
            let pages = Arc::clone(&self);
            async move { Ok::<_, Infallible>(pages.answer(&request).await) }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(COMING)
            .max_headers(HEADERS)
            .max_buf_size(HEAD)
            // The next scrape comes in many seconds.
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), answering);
        match timeout(WHOLE, serving).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("a connection for metrics ended: {error}"),
            Err(_) => tracing::debug!("a connection for metrics took too long"),
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = said(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and HEAD are answered\n",
            );
            let allowed = HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(ALLOW, allowed);
            return refused;
        }
        match request.uri().path() {
            "/metrics" => {
                let text = self.telemetry.text(&self.look().await);
                page(StatusCode::OK, FORMAT, text)
            }
            "/health" => judged(self.look().await.well),
            "/ready" => judged(self.look().await.ready),
            _ => said(
                StatusCode::NOT_FOUND,
                "there are /metrics, /health and /ready\n",
            ),
        }
    }

    async fn look(&self) -> Sight {
        let seen = timeout(LOOK, self.subject.look()).await;
        seen.unwrap_or_else(|_| Sight::unwell("it did not answer itself in time"))
    }
}

fn judged(so: Result<(), String>) -> Response<Full<Bytes>> {
    match so {
        Ok(()) => said(StatusCode::OK, "ok\n"),
        Err(why) => {
            let why = sloth_workflow::Untrusted::new(why).escaped();
            said(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))
        }
    }
}

fn said(status: StatusCode, text: impl Into<String>) -> Response<Full<Bytes>> {
    page(status, "text/plain; charset=utf-8", text.into())
}

fn page(status: StatusCode, format: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(Bytes::from(text)));
    *page.status_mut() = status;
    let headers = page.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}
