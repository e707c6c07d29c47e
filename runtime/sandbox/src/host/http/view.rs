//! The view on requests that the guest's calls get, and what each call does.

use std::sync::Arc;
use std::time::Instant;

use hyper::http::StatusCode;
use sloth_policy::{Capability, Limits};
use wasmtime::component::HasData;

use super::asked::{Asked, longest};
use super::connect::Client;
use super::fetch::{Answer, Job};
use super::requests::{About, Collected, File};
use super::save::Saved;
use super::target::Target;
use super::{Failure, Fetching, hidden};
use crate::bindings::sloth::host::http::{self, Request, Response};
use crate::bindings::sloth::host::types;
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::host::secrets::Handles;
use crate::host::underway::Underway;
use crate::learn::{Permit, absent};
use crate::place::planned::Thing;
use crate::place::{Access, Observed, Tree};
use crate::secrecy::Secrecy;
use crate::watch::Watch;

/// Most requests that a step has at a time.
const MOST_REQUESTS: usize = 64;

pub(crate) struct Http;

impl HasData for Http {
    type Data<'a> = HttpView<'a>;
}

/// Requests and nothing else of an instance, but for a file that takes a body.
pub(crate) struct HttpView<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) tree: &'a Tree,
    pub(crate) watch: &'a Watch,
    pub(crate) limits: &'a Limits,
    pub(crate) client: &'a Arc<Client>,
    pub(crate) underway: &'a mut Underway,
    pub(crate) handles: &'a Handles,
    pub(crate) secrecy: &'a mut Secrecy,
}

impl http::Host for HttpView<'_> {
    async fn send(&mut self, request: Request) -> Result<Response> {
        let number = self.begin(&request, "http.send").await?;
        self.finish(number).await
    }

    async fn start(&mut self, request: Request) -> Result<u32> {
        self.begin(&request, "http.start").await
    }

    async fn collect(&mut self, number: u32) -> Result<Response> {
        self.gate.loaded("http.collect")?;
        if !self.underway.requests.holds(number) {
            return Err(unknown(number));
        }
        self.finish(number).await
    }

    fn abandon(&mut self, number: u32) -> Result<()> {
        self.gate.loaded("http.abandon")?;
        let Some(about) = self.underway.requests.abandon(number) else {
            return Err(unknown(number));
        };
        self.gate.report.resume(about.intent);
        self.gate.report.given_up();
        self.tell(&about, "given up")
    }
}

impl HttpView<'_> {
    /// Up to *apply*: the URL, the file, an address that is spelled out and where secrets go are permitted
    /// before anything is sent; what a name resolves to and where redirects lead, when that is known.
    async fn begin(&mut self, request: &Request, call: &str) -> Result<u32> {
        self.gate.loaded(call)?;
        if self.underway.requests.count() >= MOST_REQUESTS {
            return Err(Error::failed(format!(
                "{MOST_REQUESTS} requests go on or wait to be collected already; collect one first"
            )));
        }
        let mut asked = Asked::read(request, self.limits.memory)?;
        let permit = self.gate.permit_url(call, &asked.url)?;
        let permit = permit.and(self.gate.permit_peer(&asked.url)?);
        let target = self.permit_target(request, call)?;
        asked
            .add_secrets(&request.headers, self.gate, self.handles, self.secrecy)
            .await?;
        let mut about = About {
            intent: None,
            name: asked.name(),
            acts: asked.acts(),
            sent: Arc::default(),
            file: target.as_ref().map(|target| File {
                path: target.place.path.clone(),
                mode: target.to.mode,
                create_only: target.create_only,
            }),
        };
        if self.tree.check() && about.acts {
            let summary = format!("would send {}", about.name);
            self.report(Capability::HttpSend, &summary)?;
            let response = not_sent(&asked, true, summary);
            return Ok(self.underway.requests.not_sent(about, response));
        }
        if permit == Permit::Imagined {
            // What is only learned is not sent.
            return Err(absent(Capability::HttpSend, &asked.url.subject()));
        }
        let writes =
            (about.file.as_ref()).is_some_and(|file| self.tree.in_scratch(&file.path).is_none());
        if about.acts || writes {
            self.gate.intend(about.capability(), &about.doing())?;
            about.intent = self.gate.report.leave();
        } else {
            self.gate
                .report
                .goes_out(Capability::HttpSend.name(), &about.name);
        }
        let end = asked
            .timeout
            .and_then(|time| Instant::now().checked_add(time))
            .map_or(self.watch.deadline, |end| end.min(self.watch.deadline));
        let job = Job {
            asked,
            target,
            check: self.tree.check(),
            client: Arc::clone(self.client),
            grants: Arc::clone(self.gate.grants()),
            notes: self.gate.report.notes.clone(),
            deadline: end.into(),
            sent: Arc::clone(&about.sent),
            held: self.underway.requests.part(),
        };
        Ok(self.underway.requests.start(about, job))
    }

    fn permit_target(&mut self, request: &Request, call: &str) -> Result<Option<Target>> {
        let Some(destination) = &request.destination else {
            return Ok(None);
        };
        let permitted =
            self.tree
                .permit(self.gate, call, &destination.path, Access::Write, true)?;
        let place = &permitted.place;
        let failed = |error| Error::system(&format!("look at {}", place.path), &error);
        let mut observed = self.tree.observe(place).map_err(failed)?;
        if permitted.create_only && observed != Observed::Missing {
            let permit = self
                .gate
                .permit_path(Capability::FilesWrite, call, &place.path)?;
            if permit == Permit::Imagined {
                observed = Observed::Missing;
            }
        }
        let planned = if self.tree.is_planned(&place.path) {
            self.tree.read(place, u64::MAX).map_err(failed)?
        } else {
            None
        };
        Target::of(permitted, &observed, planned, destination).map(Some)
    }

    /// Waits for an answer and tells what came of it.
    async fn finish(&mut self, number: u32) -> Result<Response> {
        let collected = loop {
            self.underway.take_in(&mut self.gate.report, self.secrecy)?;
            if let Some(collected) = self.underway.requests.collect(number) {
                break collected;
            }
            let report = &mut self.gate.report;
            let passing = self
                .underway
                .pass(None, self.watch, self.tree, report, self.secrecy);
            passing.await?;
        };
        let (about, answer) = match collected {
            Collected::NotSent(response) => return Ok(response),
            Collected::Ended(about, answer) => (about, answer),
        };
        let matcher = self.secrecy.returning();
        let answer = answer.map_err(|failure| hidden::failure(matcher.as_ref(), failure));
        // What was done is told, whatever the step may do from here on.
        let response = self.emit(&about, answer);
        if let Some(scratch) = self.tree.scratch() {
            scratch.within_quota()?;
        }
        let response = response?;
        match matcher {
            Some(matcher) => hidden::response(matcher, response, longest(self.limits.memory)).await,
            None => Ok(response),
        }
    }

    /// *Emit*. A request that was sent acted, whatever became of its answer.
    fn emit(&mut self, about: &About, answer: Fetching<Answer>) -> Result<Response> {
        self.gate.report.resume(about.intent);
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                let (error, outcome) = match failure {
                    Failure::Denied(denial) => {
                        let error = self.gate.refuse_late(&denial);
                        (error, "its answer leads where it may not go")
                    }
                    Failure::Failed(message) => (Error::failed(message), "no answer"),
                };
                // What may have come of it is told as a change, and on record it failed.
                self.gate.report.failed(&error);
                self.tell(about, outcome)?;
                return Err(error);
            }
        };
        let status = answer.status.map(status_line);
        let mut summary = match &status {
            Some(status) => format!("{}: {status}", about.name),
            None => about.name.clone(),
        };
        self.tell(about, status.as_deref().unwrap_or("not sent"))?;
        let mut changed = about.acted();
        if let (Some(file), Some(saved)) = (&about.file, answer.saved.take()) {
            let what = match saved {
                Saved::Same => None,
                Saved::Written(size) => Some(format!("{} ({size} bytes)", file.path)),
                Saved::Planned(None) => Some(file.path.clone()),
                Saved::Planned(Some(content)) => {
                    let size = content.len();
                    let (content, mode) = (content.into(), file.mode);
                    self.tree.plan(&file.path, Thing::File { content, mode })?;
                    Some(format!("{} ({size} bytes)", file.path))
                }
            };
            summary = match &what {
                Some(what) => format!("download {} to {what}", about.name),
                None => format!("{} is already so", file.path),
            };
            if what.is_some() {
                let capability = if file.create_only {
                    Capability::FilesCreate
                } else {
                    Capability::FilesWrite
                };
                self.gate.report.told(capability.name(), &summary, None)?;
                changed = true;
            }
        }
        self.close(about, changed, &summary);
        Ok(Response {
            change: types::Change {
                changed,
                summary,
                diff: None,
            },
            ..response(answer)
        })
    }

    /// Tells of a request that acted.
    fn tell(&mut self, about: &About, outcome: &str) -> Result<()> {
        if about.acted() {
            let summary = format!("{}: {outcome}", about.name);
            let capability = Capability::HttpSend.name();
            self.gate.report.told(capability, &summary, None)?;
        }
        Ok(())
    }

    /// Puts on record what came of a request that may act or write a file: one result for both.
    fn close(&mut self, about: &About, changed: bool, summary: &str) {
        let report = &mut self.gate.report;
        if changed {
            report.done(about.capability().name(), summary);
        } else {
            report.unchanged();
        }
    }

    fn report(&mut self, capability: Capability, summary: &str) -> Result<()> {
        Ok(self.gate.report.change(capability.name(), summary, None)?)
    }
}

/// An answer as the guest gets it, but for what it changed.
pub(super) fn response(answer: Answer) -> Response {
    Response {
        status: answer.status.map(|status| status.as_u16()),
        reason: answer.status.map(reason).unwrap_or_default().to_owned(),
        url: answer.url,
        headers: answer
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: answer.body,
        change: types::Change {
            changed: false,
            summary: String::new(),
            diff: None,
        },
    }
}

pub(super) fn status_line(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), reason(status))
        .trim_end()
        .to_owned()
}

/// The standard's words, not the server's.
fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or_default()
}

fn not_sent(asked: &Asked, changed: bool, summary: String) -> Response {
    Response {
        status: None,
        reason: String::new(),
        url: asked.url.subject(),
        headers: Vec::new(),
        body: Vec::new(),
        change: types::Change {
            changed,
            summary,
            diff: None,
        },
    }
}

fn unknown(number: u32) -> Error {
    Error::invalid(format!(
        "there is no request {number}; it was never started, or its answer was collected already"
    ))
}
