//! Plain data, which travels as CBOR; digests and times.

use std::time::{Duration, SystemTime};

use sloth_workflow::cbor::Bounds;
use sloth_workflow::{Untrusted, Value, cbor};

use super::Malformed;

/// Outputs of one task and the like: as the sandbox bounds them.
pub const DATA: Bounds = Bounds::DATA;

/// What a whole run leaves, or gives to one of its tasks: as much as the scheduler keeps of a run, within three
/// more maps.
pub const WHOLE: Bounds = Bounds {
    size: 128 << 20,
    depth: Bounds::DATA.depth + 3,
    entries: 4_000_000,
};

/// Any value. No bytes at all are nothing.
pub fn any(what: &'static str, bytes: &[u8], bounds: Bounds) -> Result<Value, Malformed> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    cbor::decode(bytes, bounds).map_err(|error| Malformed::Data { what, error })
}

/// A map. No bytes at all are an empty one: that is how a field that was left out comes.
pub fn map(what: &'static str, bytes: &[u8], bounds: Bounds) -> Result<Value, Malformed> {
    if bytes.is_empty() {
        return Ok(Value::empty());
    }
    match any(what, bytes, bounds)? {
        map @ Value::Map(_) => Ok(map),
        other => Err(Malformed::NotMap {
            what,
            kind: other.kind(),
        }),
    }
}

/// What stands before the digits of a digest.
const ALGORITHM: &str = "sha256:";

/// A content's name on the wire, of the digits that a node knows it by.
pub fn named(digits: &str) -> String {
    format!("{ALGORITHM}{digits}")
}

/// The digits of a content's name: 64 of them, hexadecimal and lower-case.
pub fn digits(name: String) -> Result<String, Malformed> {
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    match name.strip_prefix(ALGORITHM) {
        Some(digits) if digits.len() == 64 && digits.bytes().all(is_digit) => Ok(digits.to_owned()),
        _ => Err(Malformed::Digest(Untrusted::new(name))),
    }
}

/// The last second of the year 9999: a later moment, or one before 1970, has no form that events are written in
/// (RFC 3339).
const LAST_SECOND: i64 = 253_402_300_799;

/// A moment. One that was left out is refused.
pub fn moment(
    what: &'static str,
    time: Option<prost_types::Timestamp>,
) -> Result<SystemTime, Malformed> {
    let time = time.ok_or(Malformed::Missing(what))?;
    if !(0..=LAST_SECOND).contains(&time.seconds) || !(0..1_000_000_000).contains(&time.nanos) {
        return Err(Malformed::Range(what));
    }
    SystemTime::try_from(time).map_err(|_| Malformed::Range(what))
}

/// A length of time. One that was left out is none.
pub fn length(
    what: &'static str,
    length: Option<prost_types::Duration>,
) -> Result<Duration, Malformed> {
    let Some(length) = length else {
        return Ok(Duration::ZERO);
    };
    Duration::try_from(length).map_err(|_| Malformed::Range(what))
}

/// As the contract spells a length of time; what is longer than it can say is the longest it can.
pub fn length_sent(length: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(length.subsec_nanos()).unwrap_or(0),
    }
}
