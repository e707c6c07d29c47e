//! Bundles as they travel.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;
use sloth_workflow::{Bundle, bundle, cbor};

use super::generated;

/// Most bytes of an encoded bundle: what it may hold, and room for names and values.
pub const MAX_BUNDLE: u64 = bundle::MAX_SCRIPT + bundle::MAX_CARRIED + (4 << 20);
/// Most bytes of one piece of a content.
pub const PIECE: usize = 1 << 20;

const MAX_FILES: usize = 10_000;
const MAX_SIGNATURE: usize = 1 << 20;
const MAX_NAME: usize = 4096;

/// Why bytes are no bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no bundle: {0}")]
pub struct NoBundle(String);

/// Encodes a bundle, with the file of signatures beside it.
pub fn encode(bundle: &Bundle, signature: Option<&str>) -> Vec<u8> {
    let since = bundle.started.duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let carried = bundle.carried.iter();
    // In order of their names, so that equal bundles give equal bytes.
    let mut encoded = generated::Bundle {
        name: bundle.name.clone(),
        script: bundle.script.clone(),
        carried: std::collections::HashMap::new(),
        values: bundle.values_cbor(),
        started: Some(prost_types::Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
        }),
        seed: bundle.seed.to_vec(),
        signature: signature.map(str::to_owned),
    }
    .encode_to_vec();
    for (name, content) in carried {
        let one = generated::Bundle {
            carried: [(name.clone(), content.clone())].into(),
            ..generated::Bundle::default()
        };
        one.encode(&mut encoded).expect("a Vec takes every write");
    }
    encoded
}

/// Decodes a bundle, and the file of signatures beside it.
pub fn decode(bytes: &[u8]) -> Result<(Bundle, Option<String>), NoBundle> {
    let no = |what: &str| NoBundle(what.to_owned());
    let read = generated::Bundle::decode(bytes).map_err(|error| NoBundle(error.to_string()))?;
    if read.name.is_empty() || read.name.len() > MAX_NAME {
        return Err(no("its name is empty or too long"));
    }
    if read.script.len() as u64 > bundle::MAX_SCRIPT || read.script.contains(&0) {
        return Err(no("its script is too long, or binary data"));
    }
    let carried: u64 = read.carried.values().map(|file| file.len() as u64).sum();
    if carried > bundle::MAX_CARRIED || read.carried.len() > MAX_FILES {
        return Err(no("it carries too much"));
    }
    if let Some(name) = read.carried.keys().find(|name| !is_relative(name)) {
        return Err(NoBundle(format!(
            "it carries {name:?}, which leads out of its folder"
        )));
    }
    let values = cbor::decode(&read.values, cbor::Bounds::DATA)
        .map_err(|error| NoBundle(format!("its values: {error}")))?;
    if values.as_map().is_none() {
        return Err(no("its values are no map"));
    }
    if read
        .signature
        .as_ref()
        .is_some_and(|file| file.len() > MAX_SIGNATURE)
    {
        return Err(no("its file of signatures is too long"));
    }
    let started = read.started.as_ref().and_then(moment);
    Ok((
        Bundle {
            name: read.name,
            script: read.script,
            carried: read.carried.into_iter().collect(),
            values,
            started: started.ok_or_else(|| no("it does not say when it was started"))?,
            seed: read
                .seed
                .try_into()
                .map_err(|_| no("its seed has not 32 bytes"))?,
        },
        read.signature,
    ))
}

fn moment(time: &prost_types::Timestamp) -> Option<SystemTime> {
    let seconds = Duration::from_secs(u64::try_from(time.seconds).ok()?);
    let nanoseconds = Duration::from_nanos(u64::try_from(time.nanos).ok()?);
    // Where the system's clock ends is nobody's start time.
    UNIX_EPOCH.checked_add(seconds)?.checked_add(nanoseconds)
}

/// Whether a path leads to a place beneath where it starts, whatever lies there.
pub(crate) fn is_relative(path: &str) -> bool {
    path.len() <= MAX_NAME
        && !path.contains('\0')
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sloth_workflow::Value;

    fn some() -> Bundle {
        Bundle {
            name: "a.sloth".into(),
            script: b"return 1".to_vec(),
            carried: [
                ("files/a".to_owned(), vec![1]),
                ("lib.lua".to_owned(), vec![2]),
            ]
            .into(),
            values: Value::Map([("k".to_owned(), Value::Integer(1))].into()),
            started: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
            seed: [7; 32],
        }
    }

    #[test]
    fn a_bundle_is_the_same_at_the_other_end_and_equal_ones_are_equal_bytes() {
        let bytes = encode(&some(), Some("signed"));
        assert_eq!(bytes, encode(&some(), Some("signed")));
        let (back, signature) = decode(&bytes).unwrap();
        assert_eq!(format!("{back:?}"), format!("{:?}", some()));
        assert_eq!(signature.as_deref(), Some("signed"));
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        let spoiled: [fn(&mut Bundle); 4] = [
            |bundle| bundle.name.clear(),
            |bundle| bundle.script.push(0),
            |bundle| drop(bundle.carried.insert("../x".into(), Vec::new())),
            |bundle| bundle.values = Value::Null,
        ];
        for spoil in spoiled {
            let mut bundle = some();
            spoil(&mut bundle);
            assert!(decode(&encode(&bundle, None)).is_err());
        }
        let bytes = encode(&some(), None);
        for length in 0..bytes.len() {
            // Cut where a file begins, what is left is a whole bundle that carries less; its digest tells.
            let _ = decode(&bytes[..length]);
        }
        assert!(decode(&bytes[..20]).is_err());
        assert!(decode(&[0xff; 64]).is_err());
    }
}
