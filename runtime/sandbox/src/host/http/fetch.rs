//! A request from its first connection to its answer, over every redirect: each is held against the
//! grants as the first was.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap};
use hyper::http::{Method, StatusCode, response::Parts};
use sloth_policy::{Call, Capability, Decision, Effective};
use tokio::time::{Instant, timeout_at};

use super::asked::Asked;
use super::body::{Held, Reading};
use super::connect::Client;
use super::exchange::{Driven, Exchanged, exchange};
use super::save::{self, Saved};
use super::target::Target;
use super::{Failure, Fetching, failed};
use crate::learn::Notes;

/// Longest body of an answer that is kept in place of a file, in bytes.
const LONGEST_REFUSAL: u64 = 64 << 10;

/// Everything a request needs to go on beside its step.
pub(super) struct Job {
    pub(super) asked: Asked,
    pub(super) target: Option<Target>,
    /// A file is not written, only foreseen.
    pub(super) check: bool,
    pub(super) client: Arc<Client>,
    pub(super) grants: Arc<Effective>,
    /// Who learns where it leads.
    pub(super) notes: Option<Notes>,
    pub(super) deadline: Instant,
    /// Set once anything was sent.
    pub(super) sent: Arc<AtomicBool>,
    pub(super) held: Held,
}

/// What came of a request.
#[derive(Debug)]
pub(super) struct Answer {
    /// None when nothing was requested, since the file is as it should be.
    pub(super) status: Option<StatusCode>,
    /// Where redirects led, without its query.
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) saved: Option<Saved>,
    /// The room that the body takes.
    pub(super) _held: Held,
}

/// Sends a request and follows where it is sent.
pub(super) async fn fetch(job: Job) -> Fetching<Answer> {
    let (name, deadline) = (job.asked.name(), job.deadline);
    match timeout_at(deadline, job.run()).await {
        Ok(answer) => answer,
        Err(_) => failed(format!(
            "{name}: its time ran out; give it more with `timeout`"
        )),
    }
}

impl Job {
    async fn run(mut self) -> Fetching<Answer> {
        let name = self.asked.name();
        if !self.held.grow(self.asked.body.len() as u64) {
            return failed(format!(
                "{name}: the requests of this step hold more than its memory; send fewer at once"
            ));
        }
        if let Some(target) = self.target.take() {
            let looking = move || (target.is_so(), target);
            match tokio::task::spawn_blocking(looking).await {
                Ok((Ok(true), _)) => return Ok(self.unasked()),
                Ok((Ok(false), target)) => self.target = Some(target),
                Ok((Err(error), target)) => {
                    let path = &target.place.path;
                    return failed(format!("{name}: failed to read {path}: {error}"));
                }
                Err(_) => return failed(format!("{name}: looking at its file broke off")),
            }
        }
        let mut left = self.asked.redirects;
        loop {
            // The first was permitted before; asking once more costs nothing and leaves no way around.
            if let Decision::Refused(layer) = self.grants.url(&self.asked.url) {
                let denial = self.grants.url_denial(&self.asked.url, layer);
                return Err(Failure::Denied(Box::new(denial)));
            }
            self.note(Capability::HttpSend, self.asked.url.subject());
            let connecting = self.client.connect(&self.asked.url, &self.grants);
            let (connection, special) = connecting.await?;
            if let Some(host) = special {
                self.note(Capability::HttpAddresses, host);
            }
            let Exchanged { response, driven } =
                exchange(connection, &self.asked, &self.sent).await?;
            let (head, body) = response.into_parts();
            if self.asked.redirects > 0
                && let Some(next) = redirected(&self.asked, &head)?
            {
                let Some(fewer) = left.checked_sub(1) else {
                    return failed(format!(
                        "{name}: it was redirected more than {} times",
                        self.asked.redirects
                    ));
                };
                left = fewer;
                self.asked = next;
                continue;
            }
            return self.take(name, head, body, driven).await;
        }
    }

    fn note(&self, capability: Capability, subject: String) {
        if let Some(notes) = &self.notes {
            notes.note(Call::Subject(capability, subject));
        }
    }

    /// Takes in the body.
    async fn take(
        mut self,
        name: String,
        head: Parts,
        body: Incoming,
        driven: Driven,
    ) -> Fetching<Answer> {
        let to_file = self.target.is_some();
        let target = self.target.take().filter(|_| head.status.is_success());
        let limit = match self.asked.limit {
            limit if to_file && target.is_none() => limit.min(LONGEST_REFUSAL),
            limit => limit,
        };
        let patience = self.client.patience();
        let reading = Reading::begin(body, name.clone(), limit, patience)?;
        let (mut whole, mut saved) = (Vec::new(), None);
        match target {
            None => whole = reading.whole(&mut self.held).await?,
            Some(target) if self.check => {
                saved = Some(save::foresee(&name, reading, target, &mut self.held).await?);
            }
            Some(target) => saved = Some(save::save(&name, reading, target).await?),
        }
        drop(driven);
        Ok(Answer {
            status: Some(head.status),
            url: self.asked.url.subject(),
            headers: head.headers,
            body: whole,
            saved,
            _held: self.held,
        })
    }

    fn unasked(self) -> Answer {
        Answer {
            status: None,
            url: self.asked.url.subject(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            saved: Some(Saved::Same),
            _held: self.held,
        }
    }
}

/// The request that a redirect asks for; none when the answer is no redirect.
fn redirected(asked: &Asked, head: &Parts) -> Fetching<Option<Asked>> {
    let (true, Some(location)) = (
        matches!(head.status.as_u16(), 301 | 302 | 303 | 307 | 308),
        head.headers.get(header::LOCATION),
    ) else {
        return Ok(None);
    };
    let name = asked.name();
    let Ok(location) = location.to_str() else {
        return failed(format!("{name}: it is redirected to what is no URL"));
    };
    let url = match asked.url.join(location) {
        Ok(url) => url,
        Err(reason) => {
            return failed(format!("{name}: it is redirected to a URL that {reason}"));
        }
    };
    if asked.url.is_secure() && !url.is_secure() {
        return failed(format!(
            "{name}: it is redirected from https to {}, which is not followed: what is sent there \
             could be read on the way",
            sloth_workflow::text::Untrusted::new(url.subject()).escaped()
        ));
    }
    let mut next = Asked {
        url,
        ..asked.clone()
    };
    // RFC 9110, 15.4: 303 asks for a look; 301 and 302 are taken so for POST, as everybody does.
    let look = match head.status.as_u16() {
        303 => asked.method != Method::HEAD,
        301 | 302 => asked.method == Method::POST,
        _ => false,
    };
    if look {
        next.method = Method::GET;
        next.body = Bytes::new();
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
            next.headers.remove(name);
        }
    }
    if next.url.origin() != asked.url.origin() {
        next.headers = for_strangers(&next.headers);
    }
    Ok(Some(next))
}

/// What of the headers goes to another origin than they were meant for: nothing that could be a key.
fn for_strangers(headers: &HeaderMap) -> HeaderMap {
    let harmless = [
        header::ACCEPT,
        header::ACCEPT_LANGUAGE,
        header::CONTENT_TYPE,
        header::RANGE,
        header::USER_AGENT,
    ];
    headers
        .iter()
        .filter(|(name, value)| harmless.contains(name) && !value.is_sensitive())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use hyper::Response;
    use sloth_policy::Url;

    use super::*;
    use crate::bindings::sloth::host::http::{Header, HeaderValue, Request};

    fn asked(method: &str) -> Asked {
        let header = |name: &str| Header {
            name: name.into(),
            value: HeaderValue::Text("x".into()),
        };
        let request = Request {
            method: method.into(),
            url: "https://a.example/b/c".into(),
            headers: ["authorization", "cookie", "x-api-key", "content-type"]
                .map(header)
                .into(),
            body: Some(b"body".into()),
            timeout: None,
            redirects: None,
            limit: None,
            destination: None,
        };
        Asked::read(&request, 64 << 20).unwrap()
    }

    fn to(method: &str, status: u16, location: &str) -> Fetching<Option<Asked>> {
        let response = Response::builder().status(status);
        let response = response.header("location", location).body(()).unwrap();
        redirected(&asked(method), &response.into_parts().0)
    }

    #[test]
    fn a_redirect_keeps_or_changes_the_method_as_the_standard_says() {
        for (method, status, expected) in [
            ("POST", 301, "GET"),
            ("POST", 302, "GET"),
            ("POST", 303, "GET"),
            ("POST", 307, "POST"),
            ("PUT", 301, "PUT"),
            ("PUT", 308, "PUT"),
            ("DELETE", 303, "GET"),
            ("HEAD", 303, "HEAD"),
        ] {
            let next = to(method, status, "/d").unwrap().unwrap();
            assert_eq!(next.method.as_str(), expected, "{method} {status}");
            assert_eq!(next.url.to_string(), "https://a.example/d");
            assert_eq!(next.body.is_empty(), expected == "GET", "{method} {status}");
            assert!(next.headers.contains_key("x-api-key"));
        }
        assert!(to("GET", 304, "/d").unwrap().is_none());
        assert!(to("GET", 200, "/d").unwrap().is_none());
    }

    #[test]
    fn another_origin_gets_no_keys() {
        for location in [
            "https://b.example/",
            "https://a.example:8443/",
            "//c.example",
        ] {
            let next = to("PUT", 307, location).unwrap().unwrap();
            for name in ["authorization", "cookie", "x-api-key"] {
                assert!(!next.headers.contains_key(name), "{location}: {name}");
            }
            assert!(next.headers.contains_key("content-type"));
        }
        assert_eq!(
            to("GET", 302, "HTTPS://A.example:443/x")
                .unwrap()
                .unwrap()
                .url,
            Url::parse("https://a.example/x").unwrap()
        );
    }

    #[test]
    fn what_is_no_place_to_go_is_an_error() {
        for location in [
            "http://a.example/",
            "ftp://a.example/",
            "https://a.example@evil.example/",
            "https://2130706433/",
            "//",
        ] {
            assert!(to("GET", 302, location).is_err(), "{location}");
        }
    }
}
