//! From a request as the guest asks for it to one that can be sent, or why not.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::Method;
use sloth_policy::Url;
use sloth_workflow::text::Untrusted;

use crate::bindings::sloth::host::http::{self, Request};
use crate::host::error::{Error, Result};

/// Most headers, and most bytes of all names and values together.
const MOST_HEADERS: usize = 64;
const LONGEST_HEADERS: usize = 32 << 10;
/// Most redirects that can be asked for, and how many are followed by default.
const MOST_REDIRECTS: u32 = 20;
const REDIRECTS: u32 = 10;
/// How long all of a request may take by default.
const TIME: Duration = Duration::from_secs(30);
/// Most bytes of an answer, in memory and in a file.
const MEMORY: u64 = 16 << 20;
const FILE: u64 = 1 << 30;

/// What belongs to the connection and is the runner's to say. `Host` chooses whom a server answers for,
/// and that is what was granted.
const OWN: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request that can be sent.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// None is what the step has.
    pub(super) timeout: Option<Duration>,
    pub(super) redirects: u32,
    /// Most bytes of the answer's body.
    pub(super) limit: u64,
}

impl Asked {
    /// Reads a request. `memory` is the step's, in bytes.
    pub(super) fn read(request: &Request, memory: u64) -> Result<Self> {
        let url = Url::parse(&request.url).map_err(|reason| {
            Error::invalid(format!("the URL {} {reason}", shown(&request.url)))
        })?;
        let redirects = request.redirects.unwrap_or(REDIRECTS);
        if redirects > MOST_REDIRECTS {
            return Err(Error::invalid(format!(
                "at most {MOST_REDIRECTS} redirects are followed, not {redirects}"
            )));
        }
        let to_file = request.destination.is_some();
        let timeout = request.timeout.map(Duration::from_millis);
        let limit = if to_file {
            request.limit.unwrap_or(FILE)
        } else {
            // The body stands twice for a moment: here and in the guest, which also needs room.
            let most = MEMORY.min(memory / 2);
            request.limit.unwrap_or(most).min(most)
        };
        Ok(Self {
            method: method(&request.method)?,
            url,
            headers: headers(&request.headers)?,
            body: request.body.clone().unwrap_or_default().into(),
            timeout: timeout.or((!to_file).then_some(TIME)),
            redirects,
            limit,
        })
    }

    /// Whether sending it is a change.
    pub(super) fn acts(&self) -> bool {
        acts(&self.method)
    }

    pub(super) fn full_body(&self) -> Full<Bytes> {
        Full::new(self.body.clone())
    }

    /// What it is called in messages: `POST https://api.example.org/v1`.
    pub(super) fn name(&self) -> String {
        format!(
            "{} {}",
            self.method,
            Untrusted::new(self.url.subject()).escaped()
        )
    }
}

/// RFC 9110, 9.2.1: what is safe changes nothing.
pub(super) fn acts(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A URL that could not be read, without what may be nobody's business: a password, a query.
fn shown(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let behind = url[..end].rfind('@').map_or(0, |at| at + 1);
    let mut text = url[behind..end].to_owned();
    if text.len() > 200 {
        text.truncate(text.floor_char_boundary(200));
        text.push('…');
    }
    format!("`{}`", Untrusted::new(text).escaped())
}

fn method(text: &str) -> Result<Method> {
    let plain =
        (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase());
    // A tunnel, and two that give back what was sent with all its headers.
    let refused = ["CONNECT", "TRACE", "TRACK"].contains(&text);
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) if plain && !refused => Ok(method),
        _ => Err(Error::invalid(format!(
            "`{}` is not a method that is sent; write one such as `GET` or `POST`",
            Untrusted::new(text).escaped()
        ))),
    }
}

fn headers(given: &[http::Header]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(given.len() + 3);
    let mut length = 0;
    for one in given {
        let shown = || Untrusted::new(one.name.as_str()).escaped();
        let Ok(name) = HeaderName::from_bytes(one.name.as_bytes()) else {
            return Err(Error::invalid(format!(
                "`{}` is not a header's name",
                shown()
            )));
        };
        if OWN.contains(&name.as_str()) {
            return Err(Error::invalid(format!(
                "the header `{name}` is the runner's own to say; leave it out"
            )));
        }
        let value = value(&one.value).ok_or_else(|| {
            // Not the value, which may be a password.
            Error::invalid(format!(
                "the header `{name}` holds a line end or another control character"
            ))
        })?;
        length += name.as_str().len() + value.len();
        if headers.len() >= MOST_HEADERS || length > LONGEST_HEADERS {
            return Err(Error::invalid(format!(
                "a request has at most {MOST_HEADERS} headers and {LONGEST_HEADERS} bytes of them"
            )));
        }
        headers.append(name, value);
    }
    let mut by_default = |name, value| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    by_default(header::ACCEPT, "*/*");
    by_default(
        header::USER_AGENT,
        concat!("sloth-runner/", env!("CARGO_PKG_VERSION")),
    );
    Ok(headers)
}

/// The one place where what a header holds becomes bytes. None if they would be no header.
fn value(value: &http::HeaderValue) -> Option<HeaderValue> {
    match value {
        http::HeaderValue::Text(text) => HeaderValue::from_bytes(text.as_bytes()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, text: &str) -> Vec<http::Header> {
        vec![http::Header {
            name: name.into(),
            value: http::HeaderValue::Text(text.into()),
        }]
    }

    #[test]
    fn a_header_that_would_be_two_is_none() {
        for (name, text) in [
            ("x", "a\r\nHost: evil"),
            ("x", "a\nb"),
            ("x", "a\0"),
            ("x\r\ny", "a"),
            ("x y", "a"),
            ("x:", "a"),
            ("", "a"),
            ("HOST", "evil"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "0"),
        ] {
            assert!(headers(&one(name, text)).is_err(), "{name:?}: {text:?}");
        }
        assert!(headers(&one("X-Name", "grün\tx")).is_ok());
        let many: Vec<_> = (0..65).flat_map(|n| one(&format!("x{n}"), "")).collect();
        assert!(headers(&many).is_err());
        assert!(headers(&one("x", &"y".repeat(33 << 10))).is_err());
    }

    #[test]
    fn only_plain_methods_are_sent() {
        for text in [
            "",
            "get",
            "GET ",
            "GET / HTTP/1.1\r\nX:",
            "CONNECT",
            "TRACE",
            "G\0T",
        ] {
            assert!(method(text).is_err(), "{text:?}");
        }
        assert!(method("PROPFIND").is_ok_and(|method| acts(&method)));
        assert!(method("HEAD").is_ok_and(|method| !acts(&method)));
    }

    #[test]
    fn an_unreadable_url_is_shown_without_its_secrets() {
        assert_eq!(shown("https://u:secret@host/?token=1"), "`host/`");
    }
}
