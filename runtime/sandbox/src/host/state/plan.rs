//! What a call comes to, given what is there. Pure: nothing is read and nothing is kept here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sloth_policy::Wildcard;
use sloth_workflow::{Untrusted, Value, cbor};

use crate::bindings::sloth::host::state::Number;
use crate::host::error::{Error, Result};
use crate::ports::state::{Entry, Write, check_key};

/// Longest that a key with a lifetime lives.
const LONGEST_LIFE: Duration = Duration::from_hours(24 * 3660);

/// A key that can be kept.
pub(super) fn key(key: &str) -> Result<()> {
    check_key(key).map_err(|problem| Error::invalid(problem.0))
}

/// A pattern of keys, in which `*` and `?` stand for characters and all else for itself.
pub(super) fn pattern(text: &str) -> Result<Wildcard> {
    key(text)?;
    let refused = |reason: &str| {
        let shown = Untrusted::new(text).escaped();
        Err(Error::invalid(format!("the pattern `{shown}` {reason}")))
    };
    if text.contains(['[', ']', '\\']) {
        return refused("holds a bracket or a backslash; only `*` and `?` stand for characters");
    }
    Wildcard::parse(text).or_else(|reason| refused(&reason))
}

/// A value's bytes in their one form, so that equal values are equal bytes.
pub(super) fn canonical(bytes: &[u8]) -> Result<Vec<u8>> {
    match cbor::decode(bytes, cbor::Bounds::DATA) {
        Ok(Value::Null) => Err(Error::invalid("a value is missing")),
        Ok(value) => Ok(cbor::encode(&value)),
        Err(error) => Err(Error::invalid(format!("the value cannot be kept: {error}"))),
    }
}

/// The moment after which a value is gone.
pub(super) fn expiry(lifetime: Option<u64>, now: SystemTime) -> Result<Option<SystemTime>> {
    let Some(lifetime) = lifetime.map(Duration::from_millis) else {
        return Ok(None);
    };
    if lifetime.is_zero() || lifetime > LONGEST_LIFE {
        return Err(Error::invalid(
            "a lifetime is more than nothing and ten years at most",
        ));
    }
    // A store keeps whole milliseconds since 1970.
    let since = (now + lifetime)
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let whole = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Ok(Some(UNIX_EPOCH + Duration::from_millis(whole)))
}

/// Putting a value. One that is to live for a time is put anew each time, since its time begins anew.
pub(super) fn set(observed: Option<&Entry>, desired: &Entry) -> Option<Write> {
    (observed != Some(desired)).then(|| Write::Put(desired.clone()))
}

pub(super) fn delete(observed: Option<&Entry>) -> Option<Write> {
    observed.map(|_| Write::Delete)
}

/// The sum, and the entry that holds it. The sum of two whole numbers is whole.
pub(super) fn increment(
    observed: Option<&Entry>,
    by: Number,
) -> std::result::Result<(Number, Entry), &'static str> {
    let held = match observed {
        None => Value::Integer(0),
        Some(entry) => cbor::decode(&entry.value, cbor::Bounds::DATA)
            .map_err(|_| "holds what cannot be read")?,
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest fraction, as in Lua's own arithmetic"
    )]
    let sum = match (held, by) {
        (Value::Integer(held), Number::Integer(by)) => Number::Integer(
            held.checked_add(by)
                .ok_or("would hold more than a whole number can")?,
        ),
        (Value::Integer(held), Number::Float(by)) => Number::Float(held as f64 + by),
        (Value::Float(held), Number::Integer(by)) => Number::Float(held + by as f64),
        (Value::Float(held), Number::Float(by)) => Number::Float(held + by),
        _ => return Err("holds no number"),
    };
    let value = cbor::encode(&match sum {
        Number::Integer(sum) => Value::Integer(sum),
        Number::Float(sum) => Value::Float(sum),
    });
    let expires = observed.and_then(|entry| entry.expires);
    Ok((sum, Entry { value, expires }))
}

/// Whether what is there is as expected, and what then becomes of it.
pub(super) fn swap(
    observed: Option<&Entry>,
    expected: Option<&[u8]>,
    new: Option<&[u8]>,
) -> (bool, Option<Write>) {
    if observed.map(|entry| &*entry.value) != expected {
        return (false, None);
    }
    let write = match new {
        _ if expected == new => None,
        None => Some(Write::Delete),
        Some(new) => Some(Write::Put(Entry {
            value: new.to_vec(),
            expires: observed.and_then(|entry| entry.expires),
        })),
    };
    (true, write)
}

/// A value as JSON text, for a diff; none for nothing.
pub(super) fn shown(value: Option<&[u8]>) -> String {
    let value = value.and_then(|bytes| cbor::decode(bytes, cbor::Bounds::DATA).ok());
    value.map_or_else(String::new, |value| {
        serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: &Value, expires: Option<SystemTime>) -> Entry {
        Entry {
            value: cbor::encode(value),
            expires,
        }
    }

    #[test]
    fn what_is_so_already_is_no_change_unless_its_time_begins_anew() {
        let kept = entry(&Value::Integer(1), None);
        assert_eq!(set(Some(&kept), &kept), None);
        let leased = entry(&Value::Integer(1), Some(UNIX_EPOCH));
        assert_eq!(set(Some(&kept), &leased), Some(Write::Put(leased.clone())));
        assert_eq!(set(Some(&leased), &kept), Some(Write::Put(kept)));
        assert_eq!(delete(None), None);
        assert_eq!(delete(Some(&leased)), Some(Write::Delete));
    }

    #[test]
    fn sums_stay_whole_and_say_when_they_cannot() {
        let most = entry(&Value::Integer(i64::MAX), None);
        assert!(increment(Some(&most), Number::Integer(1)).is_err());
        assert!(
            increment(
                Some(&entry(&Value::Text("1".into()), None)),
                Number::Integer(1)
            )
            .is_err()
        );
        let (sum, _) = increment(None, Number::Integer(-3)).unwrap();
        assert!(matches!(sum, Number::Integer(-3)));
        let leased = entry(&Value::Float(0.5), Some(UNIX_EPOCH));
        let (sum, written) = increment(Some(&leased), Number::Integer(1)).unwrap();
        assert!(matches!(sum, Number::Float(1.5)));
        assert_eq!(written, entry(&Value::Float(1.5), Some(UNIX_EPOCH)));
    }

    #[test]
    fn a_swap_needs_what_it_expects() {
        let one = entry(&Value::Integer(1), None);
        let two = entry(&Value::Integer(2), None).value;
        assert_eq!(swap(None, Some(&one.value), Some(&two)), (false, None));
        assert_eq!(swap(Some(&one), None, Some(&two)), (false, None));
        assert_eq!(
            swap(Some(&one), Some(&one.value), Some(&one.value)),
            (true, None)
        );
        assert_eq!(
            swap(Some(&one), Some(&one.value), None),
            (true, Some(Write::Delete))
        );
        assert_eq!(swap(None, None, None), (true, None));
    }

    #[test]
    fn keys_patterns_values_and_lifetimes_have_bounds() {
        for bad in ["", "a\nb", "a\0", &"k".repeat(257)] {
            assert!(key(bad).is_err(), "{bad:?}");
        }
        assert!(key(&"k".repeat(256)).is_ok());
        for bad in ["[a]", "a\\*", "a**"] {
            assert!(pattern(bad).is_err(), "{bad:?}");
        }
        assert!(pattern("app/*").unwrap().matches("app/a/b"));
        assert!(canonical(&cbor::encode(&Value::Bytes(vec![0; 2 << 20]))).is_err());
        assert!(canonical(&[0xff]).is_err());
        assert!(canonical(&cbor::encode(&Value::Null)).is_err());
        let now = SystemTime::now();
        assert!(expiry(Some(0), now).is_err());
        assert!(expiry(Some(u64::MAX), now).is_err());
        assert!(expiry(Some(1), now).is_ok());
    }
}
