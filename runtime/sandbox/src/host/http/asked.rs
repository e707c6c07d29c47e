//! From a request as the guest asks for it to one that can be sent, or why not.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::Method;
use sloth_policy::Url;
use sloth_workflow::text::Untrusted;
use zeroize::Zeroizing;

use crate::bindings::sloth::host::http::{self, Request};
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::host::secrets::{self, Handles};
use crate::secrecy::Secrecy;

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

/// Headers that servers take for another method than the one that is written.
const OTHER_METHOD: [&str; 3] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Headers that servers take for another URL than the one that is written.
const OTHER_URL: [&str; 4] = [
    "x-original-url",
    "x-rewrite-url",
    "x-original-uri",
    "x-forwarded-uri",
];

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
    /// Reads a request but for the secrets of its headers, see [`Self::add_secrets`]. `memory` is the
    /// step's, in bytes.
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
            request.limit.unwrap_or(FILE).min(FILE)
        } else {
            let most = longest(memory);
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

    /// Adds the headers that hold secrets, each once it is permitted to go where the request does.
    pub(super) async fn add_secrets(
        &mut self,
        given: &[http::Header],
        gate: &mut Gate,
        handles: &Handles,
        secrecy: &Secrecy,
    ) -> Result<()> {
        let server = self.url.origin();
        for header in given {
            let http::HeaderValue::Secret(keyed) = &header.value else {
                continue;
            };
            let name = name(&header.name)?;
            let opened =
                secrets::for_server(gate, handles, secrecy, &keyed.secret, &server).await?;
            let whole = Zeroizing::new(format!("{}{}", keyed.before, opened.as_str()));
            let mut value = value(&name, &whole)?;
            // So that it is printed nowhere, and known where a redirect leads to others.
            value.set_sensitive(true);
            add(&mut self.headers, name, value)?;
        }
        Ok(())
    }

    /// Whether sending it is a change: a method that is safe with a body, or with a header that servers take for
    /// another method, is as good as that other one.
    pub(super) fn acts(&self) -> bool {
        let other = |name: &str| self.headers.contains_key(name);
        acts(&self.method) || !self.body.is_empty() || OTHER_METHOD.iter().any(|name| other(name))
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

/// Longest body that is held in memory. It stands twice for a moment: here and in the guest, which also
/// needs room.
pub(super) fn longest(memory: u64) -> u64 {
    MEMORY.min(memory / 2)
}

/// RFC 9110, 9.2.1: what is safe changes nothing.
pub(super) fn acts(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A URL that could not be read, without what may be nobody's business: a password, a query. What an `@` stands
/// before may be part of either, wherever the one ends and the other begins.
fn shown(url: &str) -> String {
    let behind = url.rfind('@').map_or(0, |at| at + 1);
    let rest = &url[behind..];
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let mut text = rest[..end].to_owned();
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

/// The headers that are text, and those that are sent whatever is asked.
fn headers(given: &[http::Header]) -> Result<HeaderMap> {
    // Not as many as are given, which may be more than a map can be made for.
    let mut headers = HeaderMap::with_capacity(MOST_HEADERS);
    let defaults = [
        (header::ACCEPT, "*/*"),
        (
            header::USER_AGENT,
            concat!("sloth-runner/", env!("CARGO_PKG_VERSION")),
        ),
    ];
    for (name, text) in defaults {
        let is = |one: &http::Header| one.name.eq_ignore_ascii_case(name.as_str());
        if !given.iter().any(is) {
            headers.insert(name, HeaderValue::from_static(text));
        }
    }
    for one in given {
        let name = name(&one.name)?;
        match &one.value {
            http::HeaderValue::Text(text) => {
                let value = value(&name, text)?;
                add(&mut headers, name, value)?;
            }
            // What is wrong before the secret is known is said before it is asked for.
            http::HeaderValue::Secret(keyed) => drop(value(&name, &keyed.before)?),
        }
    }
    Ok(headers)
}

fn name(text: &str) -> Result<HeaderName> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        return Err(Error::invalid(format!(
            "`{}` is not a header's name",
            Untrusted::new(text).escaped()
        )));
    };
    if OTHER_URL.contains(&name.as_str()) {
        return Err(Error::invalid(format!(
            "the header `{name}` asks some servers for another URL than the one that was granted; it cannot be sent"
        )));
    }
    if OWN.contains(&name.as_str()) {
        return Err(Error::invalid(format!(
            "the header `{name}` is the runner's own to say; leave it out"
        )));
    }
    Ok(name)
}

/// The one place where what a header holds becomes bytes.
fn value(name: &HeaderName, text: &str) -> Result<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
        // Not the value, which may be a password.
        Error::invalid(format!(
            "the header `{name}` holds a line end or another control character"
        ))
    })
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<()> {
    let together: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    let length = together + name.as_str().len() + value.len();
    if headers.len() >= MOST_HEADERS || length > LONGEST_HEADERS {
        return Err(Error::invalid(format!(
            "a request has at most {MOST_HEADERS} headers and {LONGEST_HEADERS} bytes of them"
        )));
    }
    headers.append(name, value);
    Ok(())
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
    fn what_servers_take_for_a_change_is_one_and_what_they_take_for_another_url_is_not_sent() {
        let asked = |header: &str, body: &[u8]| {
            let request = Request {
                method: "GET".to_owned(),
                url: "https://host/".to_owned(),
                headers: one(header, "DELETE"),
                body: Some(body.to_vec()),
                timeout: None,
                redirects: None,
                limit: None,
                destination: None,
            };
            Asked::read(&request, 64 << 20)
        };
        assert!(!asked("Accept", b"").unwrap().acts());
        assert!(asked("Accept", b"{}").unwrap().acts());
        for header in [
            "X-HTTP-Method-Override",
            "x-method-override",
            "X-Http-Method",
        ] {
            assert!(asked(header, b"").unwrap().acts(), "{header}");
        }
        for header in ["X-Original-URL", "x-rewrite-url", "X-Forwarded-Uri"] {
            assert!(asked(header, b"").is_err(), "{header}");
        }
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
        for url in [
            "https://u:secret@host/?token=1",
            "https://u:sec?ret@host/?token=1",
            "https://u:sec#ret@host/#token",
        ] {
            assert_eq!(shown(url), "`host/`", "{url}");
        }
    }
}
