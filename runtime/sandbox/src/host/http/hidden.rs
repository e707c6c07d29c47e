//! What comes back to a workflow, without the secrets that it was not given. Servers repeat what they are
//! sent: in a page, in a header, in the place a redirect leads to.

use std::sync::Arc;

use sloth_policy::Denial;

use super::Failure;
use crate::bindings::sloth::host::http::Response;
use crate::host::error::{Error, Result};
use crate::redact::{Matcher, redacted, redacted_bytes};

/// An answer as the workflow may have it. `most` is how long the body may be then, in bytes: a name may
/// be longer than the value that it stands for.
pub(super) async fn response(
    matcher: Arc<Matcher>,
    response: Response,
    most: u64,
) -> Result<Response> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let hiding = move || {
        let bytes = |bytes: &[u8]| redacted_bytes(&matcher, bytes, usize::MAX).unwrap_or_default();
        let header = |(name, value): (String, Vec<u8>)| (redacted(&matcher, name), bytes(&value));
        Some(Response {
            url: text(&matcher, response.url),
            headers: response.headers.into_iter().map(header).collect(),
            body: redacted_bytes(&matcher, &response.body, most)?,
            ..response
        })
    };
    // A long body takes its time.
    let hidden = tokio::task::spawn_blocking(hiding).await;
    hidden
        .map_err(|error| Error::Trap(error.into()))?
        .ok_or_else(|| {
            Error::failed(format!(
                "the answer is longer than {most} bytes with the names of secrets in place of their values"
            ))
        })
}

/// What is said of a request without an answer, which may name where a redirect leads.
pub(super) fn failure(matcher: Option<&Arc<Matcher>>, failure: Failure) -> Failure {
    let Some(matcher) = matcher else {
        return failure;
    };
    match failure {
        Failure::Failed(message) => Failure::Failed(text(matcher, message)),
        Failure::Denied(denial) => Failure::Denied(Box::new(Denial {
            subject: text(matcher, denial.subject),
            message: text(matcher, denial.message),
            remedy: denial.remedy.map(|remedy| text(matcher, remedy)),
            ..*denial
        })),
    }
}

/// A text that may hold a URL, in which the runner itself escaped what needs it.
fn text(matcher: &Arc<Matcher>, text: String) -> String {
    let plain = unescaped(&text);
    let told = redacted(matcher, plain.clone());
    if told == plain {
        redacted(matcher, text)
    } else {
        told
    }
}

/// RFC 3986, 2.1: `%20` is a space.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).and_then(|two| str::from_utf8(two).ok());
        let digits = digits.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match byte {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::sloth::host::types::Change;

    fn matcher() -> Arc<Matcher> {
        Arc::new(Matcher::of([("pw", "hunter2 ünd")]).unwrap())
    }

    #[test]
    fn a_value_that_was_escaped_on_the_way_is_found() {
        let shown = |given: &str| text(&matcher(), given.to_owned());
        assert_eq!(
            shown("http://x/hunter2%20%C3%BCnd/y"),
            "http://x/<secret pw>/y"
        );
        assert_eq!(shown("hunter2 ünd"), "<secret pw>");
        assert_eq!(shown("100% of %2 and %20"), "100% of %2 and %20");
    }

    #[tokio::test]
    async fn names_in_place_of_values_are_no_way_to_more_memory() {
        let long = |times: usize, most| {
            let answer = Response {
                status: Some(200),
                reason: String::new(),
                url: String::new(),
                headers: Vec::new(),
                body: "hunter2 ünd ".repeat(times).into_bytes(),
                change: Change {
                    changed: false,
                    summary: String::new(),
                    diff: None,
                },
            };
            response(matcher(), answer, most)
        };
        assert_eq!(long(2, 99).await.unwrap().body, b"<secret pw> <secret pw> ");
        assert!(long(10_000, 100).await.is_err());
    }
}
