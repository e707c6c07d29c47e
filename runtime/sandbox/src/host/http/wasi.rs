//! Requests that a plugin sends through `wasi:http`: held against the same grants as `http.send`, and told in the
//! same way. WASI follows no redirect by itself.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::http::{self as wire, HeaderName};
use hyper::{Request, Response};
use sloth_policy::Capability;
use wasmtime_wasi_http::{Error as WasiError, RequestOptions, WasiBody, WasiHttpHooks};

use super::asked::{Asked, longest};
use super::fetch::{Job, fetch};
use super::requests::About;
use super::view::status_line;
use super::{Failure, hidden};
use crate::bindings::sloth::host::http::{self, Header, HeaderValue};
use crate::context::Context;
use crate::host::error::{Error, Result};
use crate::learn::Permit;

/// Most requests of one plugin that go on at a time.
const MOST: usize = 64;

/// What WASI and the runner say of a request by themselves.
const OWN: [HeaderName; 4] = [
    wire::header::HOST,
    wire::header::CONTENT_LENGTH,
    wire::header::TRANSFER_ENCODING,
    wire::header::CONNECTION,
];

/// A request that was sent, and what came of it once that is known.
pub(crate) struct Sent {
    about: About,
    outcome: Arc<Mutex<Option<std::result::Result<String, Failure>>>>,
}

type Answered = std::result::Result<
    (
        Response<WasiBody>,
        Box<dyn Future<Output = std::result::Result<(), WasiError>> + Send>,
    ),
    WasiError,
>;

impl WasiHttpHooks for Context {
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = std::result::Result<(), WasiError>> + Send>,
    ) -> Box<dyn Future<Output = Answered> + Send> {
        let (head, body) = request.into_parts();
        match self.begin_request(&head, options) {
            Ok((job, sent)) => {
                let matcher = self.http().secrecy.returning();
                let limit = self.limits.memory;
                Box::new(sent_on(job, body, sent, matcher, limit))
            }
            // The refusal itself is told as every other is.
            Err(_) => Box::new(std::future::ready(Err(WasiError::HttpRequestDenied))),
        }
    }
}

impl Context {
    /// Up to *apply*, as `http.send` does it.
    fn begin_request(
        &mut self,
        head: &wire::request::Parts,
        options: Option<RequestOptions>,
    ) -> Result<(Job, Outcome)> {
        const CALL: &str = "wasi:http";
        if self.requests.len() >= MOST {
            return Err(Error::failed("too many requests go on at once"));
        }
        let limits = self.limits.clone();
        let view = self.http();
        let asked = Asked::read(&as_asked(head), limits.memory)?;
        let permit = view.gate.permit_url(CALL, &asked.url)?;
        let permit = permit.and(view.gate.permit_peer(&asked.url)?);
        let acts = asked.acts();
        let mut about = About {
            intent: None,
            name: asked.name(),
            acts,
            sent: Arc::default(),
            file: None,
        };
        if view.tree.check() && acts {
            let summary = format!("would send {}", about.name);
            let report = &mut view.gate.report;
            report.change(Capability::HttpSend.name(), &summary, None)?;
            return Err(Error::failed("check mode sends nothing"));
        }
        if permit == Permit::Imagined {
            return Err(Error::failed("what is only learned is not sent"));
        }
        if acts {
            view.gate.intend(about.capability(), &about.doing())?;
            about.intent = view.gate.report.leave();
        } else {
            let report = &mut view.gate.report;
            report.goes_out(Capability::HttpSend.name(), &about.name);
        }
        let patience = options.and_then(|options| options.first_byte_timeout);
        let end = patience
            .or(asked.timeout)
            .and_then(|time| Instant::now().checked_add(time))
            .map_or(view.watch.deadline, |end| end.min(view.watch.deadline));
        let job = Job {
            asked,
            target: None,
            check: view.tree.check(),
            client: Arc::clone(view.client),
            grants: Arc::clone(view.gate.grants()),
            notes: view.gate.report.notes.clone(),
            deadline: end.into(),
            sent: Arc::<AtomicBool>::clone(&about.sent),
            held: view.underway.requests.part(),
        };
        let outcome = Outcome::default();
        self.requests.push(Sent {
            about,
            outcome: Arc::clone(&outcome),
        });
        Ok((job, outcome))
    }

    /// *Emit*: tells of the requests that have ended.
    pub(crate) fn settle_requests(&mut self) {
        let ended = |sent: &mut Sent| {
            let outcome = sent.outcome.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.is_some()
        };
        let settled: Vec<Sent> = self.requests.extract_if(.., ended).collect();
        for Sent { about, outcome } in settled {
            let outcome = outcome
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let gate = &mut self.gate;
            gate.report.resume(about.intent);
            let words = match outcome {
                Some(Ok(status)) => status,
                Some(Err(Failure::Denied(denial))) => {
                    let error = gate.refuse_late(&denial);
                    gate.report.failed(&error);
                    "it leads where it may not go".to_owned()
                }
                Some(Err(Failure::Failed(message))) => {
                    gate.report.failed(&Error::failed(message));
                    "no answer".to_owned()
                }
                None => continue,
            };
            let capability = Capability::HttpSend.name();
            let summary = format!("{}: {words}", about.name);
            if about.acted() {
                // The step's end, if its budget is spent, is the next call's to say.
                let _ = gate.report.told(capability, &summary, None);
                gate.report.done(capability, &summary);
            } else if about.intent.is_some() {
                gate.report.unchanged();
            }
        }
    }
}

type Outcome = Arc<Mutex<Option<std::result::Result<String, Failure>>>>;

/// A request of WASI in the words of the noun.
fn as_asked(head: &wire::request::Parts) -> http::Request {
    let headers = head.headers.iter().filter(|(name, _)| !OWN.contains(name));
    let headers = headers.map(|(name, value)| Header {
        name: name.as_str().to_owned(),
        value: HeaderValue::Text(String::from_utf8_lossy(value.as_bytes()).into_owned()),
    });
    http::Request {
        method: head.method.as_str().to_owned(),
        url: head.uri.to_string(),
        headers: headers.collect(),
        body: None,
        timeout: None,
        redirects: Some(0),
        limit: None,
        destination: None,
    }
}

async fn sent_on(
    mut job: Job,
    body: WasiBody,
    outcome: Outcome,
    matcher: Option<Arc<crate::redact::Matcher>>,
    memory: u64,
) -> Answered {
    let most = longest(memory);
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    let tell = |said| {
        let mut held = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(said);
    };
    let acts = job.asked.acts();
    let collected = Limited::new(body, limit).collect().await;
    let Ok(collected) = collected else {
        tell(Err(Failure::Failed("its body was cut off".to_owned())));
        return Err(WasiError::HttpRequestBodySize(Some(most)));
    };
    job.asked.body = collected.to_bytes();
    if job.asked.acts() != acts {
        // A body makes a request one that acts, and that was not put on record.
        tell(Err(Failure::Failed(
            "a request of this method has no body".to_owned(),
        )));
        return Err(WasiError::HttpRequestBodySize(Some(0)));
    }
    let answer = match fetch(job).await {
        Ok(answer) => answer,
        Err(failure) => {
            let denied = matches!(failure, Failure::Denied(_));
            tell(Err(hidden::failure(matcher.as_ref(), failure)));
            return Err(if denied {
                WasiError::HttpRequestDenied
            } else {
                WasiError::ConnectionTerminated
            });
        }
    };
    tell(Ok(answer.status.map(status_line).unwrap_or_default()));
    let mut response = super::view::response(answer);
    if let Some(matcher) = matcher {
        match hidden::response(matcher, response, most).await {
            Ok(hidden) => response = hidden,
            Err(_) => return Err(WasiError::HttpResponseIncomplete),
        }
    }
    let mut built = Response::builder().status(response.status.unwrap_or(502));
    for (name, value) in &response.headers {
        built = built.header(name.as_str(), value.as_slice());
    }
    let body = Full::new(Bytes::from(response.body));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    let built = built.body(body);
    let built = built.map_err(|_| WasiError::HttpResponseIncomplete)?;
    Ok((built, Box::new(std::future::ready(Ok(())))))
}
