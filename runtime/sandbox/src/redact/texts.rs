//! Whole texts, and what a step leaves behind.

use std::sync::Arc;

use sloth_workflow::{Finished, Untrusted, Value};

use super::matcher::Matcher;
use super::stream::Stream;

/// How much of a long text is looked at before its length is, in bytes.
const PIECE: usize = 64 << 10;

/// A text without secrets.
pub(crate) fn redacted(matcher: &Arc<Matcher>, text: String) -> String {
    let bytes = whole(matcher, text.as_bytes());
    // Secrets are text, so that what is left between them is text as well.
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Everything of how a call ended, without secrets.
pub(crate) fn redacted_finished(matcher: &Arc<Matcher>, finished: Finished) -> Finished {
    let text = |text: Untrusted| Untrusted::new(redacted(matcher, text.raw().to_owned()));
    Finished {
        outcome: finished.outcome,
        message: text(finished.message),
        location: finished.location.map(text),
        traceback: finished.traceback.map(text),
        outputs: redacted_value(matcher, finished.outputs),
        answer: finished.answer,
        stack: redacted_value(matcher, finished.stack),
        artifacts: finished
            .artifacts
            .into_iter()
            .map(|mut artifact| {
                artifact.name = redacted(matcher, artifact.name);
                artifact
            })
            .collect(),
    }
}

/// A value without secrets, in its keys as well.
pub(crate) fn redacted_value(matcher: &Arc<Matcher>, value: Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value,
        // A secret of digits may be taken for a number.
        Value::Integer(number) => redacted_number(matcher, number.to_string(), value),
        Value::Float(number) => redacted_number(matcher, number.to_string(), value),
        Value::Text(text) => Value::Text(redacted(matcher, text)),
        Value::Bytes(bytes) => Value::Bytes(whole(matcher, &bytes)),
        Value::List(items) => {
            let items = items.into_iter();
            Value::List(items.map(|item| redacted_value(matcher, item)).collect())
        }
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| (redacted(matcher, key), redacted_value(matcher, value)))
                .collect(),
        ),
    }
}

fn redacted_number(matcher: &Arc<Matcher>, shown: String, number: Value) -> Value {
    let told = redacted(matcher, shown.clone());
    if told == shown {
        number
    } else {
        Value::Text(told)
    }
}

fn whole(matcher: &Arc<Matcher>, bytes: &[u8]) -> Vec<u8> {
    redacted_bytes(matcher, bytes, usize::MAX).unwrap_or_default()
}

/// Bytes without secrets; none if they were more than `most` then.
pub(crate) fn redacted_bytes(matcher: &Arc<Matcher>, bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut stream = Stream::default();
    let mut out = Vec::with_capacity(bytes.len().min(most));
    for piece in bytes.chunks(PIECE) {
        out.extend_from_slice(&stream.push(Some(matcher), piece));
        if out.len() > most {
            return None;
        }
    }
    out.extend(stream.finish());
    (out.len() <= most).then_some(out)
}

#[cfg(test)]
mod tests {
    use sloth_workflow::{Artifact, Outcome};

    use super::*;

    #[test]
    fn nothing_that_a_step_leaves_holds_a_secret() {
        let matcher = Arc::new(Matcher::of([("pin", "12345678"), ("pw", "pässwörter")]).unwrap());
        let outputs = Value::Map(
            [
                ("pässwörter".to_owned(), Value::Integer(12_345_678)),
                ("b".to_owned(), Value::Bytes(b"\xff12345678\xff".to_vec())),
                (
                    "c".to_owned(),
                    Value::List(vec![Value::Text("x pässwörter".into()), Value::Integer(5)]),
                ),
            ]
            .into(),
        );
        let finished = Finished {
            outputs: outputs.clone(),
            stack: outputs,
            location: Some("12345678:1".into()),
            traceback: Some("in 12345678".into()),
            artifacts: vec![Artifact {
                executable: false,
                name: "a/12345678.tar".into(),
                digest: String::new(),
                size: 1,
            }],
            ..Finished::with(Outcome::Failed, "no pässwörter")
        };
        let told = redacted_finished(&matcher, finished);
        let outputs = concat!(
            r#"{"<secret pw>":"<secret pin>","b":{"base16":"ff3c7365637265742070696e3eff"},"#,
            r#""c":["x <secret pw>",5]}"#
        );
        assert_eq!(serde_json::to_string(&told.outputs).unwrap(), outputs);
        assert_eq!(serde_json::to_string(&told.stack).unwrap(), outputs);
        assert_eq!(told.message.raw(), "no <secret pw>");
        assert_eq!(told.location.unwrap().raw(), "<secret pin>:1");
        assert_eq!(told.traceback.unwrap().raw(), "in <secret pin>");
        assert_eq!(told.artifacts[0].name, "a/<secret pin>.tar");
    }
}
