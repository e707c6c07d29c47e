//! Bundles as they travel.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;
use sha2::{Digest, Sha256};
use sloth_workflow::value::base16;
use sloth_workflow::{Bundle, bundle, cbor};

use super::generated;
use super::value::digits;

/// Most bytes of an encoded bundle: what it may hold, and room for names and values.
pub const MAX_BUNDLE: u64 = bundle::MAX_SCRIPT + bundle::MAX_CARRIED + (4 << 20);
/// Most bytes of one piece of a content.
pub const PIECE: usize = 1 << 20;
/// Bytes from which a file of a bundle is a content of its own.
const LARGE: usize = 32 << 10;

const MAX_FILES: usize = 10_000;
const MAX_SIGNATURE: usize = 1 << 20;
const MAX_NAME: usize = 4096;

/// Why bytes are no bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no bundle: {0}")]
pub struct NoBundle(String);

/// A bundle as contents: itself, and its large files.
#[derive(Debug)]
pub struct Packed<'a> {
    /// The encoded bundle, which a run names.
    pub bytes: Vec<u8>,
    /// Each once, by its digest.
    pub apart: BTreeMap<String, &'a [u8]>,
}

/// A bundle whose large files are contents still to be looked up.
#[derive(Debug)]
pub struct Opened {
    bundle: Bundle,
    /// The file of signatures beside the workflow.
    signature: Option<String>,
    apart: BTreeMap<String, Apart>,
}

/// A large file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// In bytes.
    pub size: u64,
}

/// Encodes a bundle, with the file of signatures beside it.
pub fn encode<'a>(bundle: &'a Bundle, signature: Option<&str>) -> Packed<'a> {
    let since = bundle.started.duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let mut bytes = generated::Bundle {
        name: bundle.name.clone(),
        script: bundle.script.clone(),
        values: bundle.values_cbor(),
        started: Some(prost_types::Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
        }),
        seed: bundle.seed.to_vec(),
        signature: signature.map(str::to_owned),
        ..generated::Bundle::default()
    }
    .encode_to_vec();
    let mut apart = BTreeMap::new();
    // In order of their names, so that equal bundles give equal bytes.
    for (name, content) in &bundle.carried {
        let mut one = generated::Bundle::default();
        if content.len() < LARGE {
            one.carried.insert(name.clone(), content.clone());
        } else {
            let digest = format!("sha256:{}", base16(&Sha256::digest(content)));
            let size = content.len() as u64;
            let place = generated::Apart {
                digest: digest.clone(),
                size,
            };
            one.apart.insert(name.clone(), place);
            apart.insert(digest, content.as_slice());
        }
        one.encode(&mut bytes).expect("a Vec takes every write");
    }
    Packed { bytes, apart }
}

/// Decodes a bundle, and the file of signatures beside it.
pub fn decode(bytes: &[u8]) -> Result<Opened, NoBundle> {
    let no = |what: &str| NoBundle(what.to_owned());
    let read = generated::Bundle::decode(bytes).map_err(|error| NoBundle(error.to_string()))?;
    if read.name.is_empty() || read.name.len() > MAX_NAME {
        return Err(no("its name is empty or too long"));
    }
    if read.script.len() as u64 > bundle::MAX_SCRIPT || read.script.contains(&0) {
        return Err(no("its script is too long, or binary data"));
    }
    let here = read.carried.values().map(|file| file.len() as u64);
    let carried = here
        .chain(read.apart.values().map(|apart| apart.size))
        .fold(0, u64::saturating_add);
    if carried > bundle::MAX_CARRIED || read.carried.len() + read.apart.len() > MAX_FILES {
        return Err(no("it carries too much"));
    }
    let mut names = read.carried.keys().chain(read.apart.keys());
    if let Some(name) = names.find(|name| !is_relative(name)) {
        return Err(NoBundle(format!(
            "it carries {name:?}, which leads out of its folder"
        )));
    }
    if let Some(name) = read
        .apart
        .keys()
        .find(|name| read.carried.contains_key(*name))
    {
        return Err(NoBundle(format!("it carries {name:?} twice")));
    }
    if !read.apart.values().all(|apart| is_digest(&apart.digest)) {
        return Err(no("a large file of it has no digest"));
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
    let apart = read.apart.into_iter().map(|(name, apart)| {
        let (digest, size) = (apart.digest, apart.size);
        (name, Apart { digest, size })
    });
    Ok(Opened {
        bundle: Bundle {
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
        signature: read.signature,
        apart: apart.collect(),
    })
}

impl Opened {
    /// Its large files; of those with equal bytes there is one.
    pub fn apart(&self) -> Vec<Apart> {
        let mut digests = BTreeSet::new();
        let once = |apart: &&Apart| digests.insert(apart.digest.clone());
        self.apart.values().filter(once).cloned().collect()
    }

    /// The bundle with its large files, whose bytes are given by their digest, and the file of signatures beside it.
    pub fn whole(
        self,
        contents: &BTreeMap<String, Vec<u8>>,
    ) -> Result<(Bundle, Option<String>), NoBundle> {
        let mut bundle = self.bundle;
        for (name, Apart { digest, size }) in self.apart {
            let content = contents.get(&digest);
            // What it carries was counted by what it says.
            let content = content.filter(|content| content.len() as u64 == size);
            let content = content.ok_or_else(|| {
                NoBundle(format!(
                    "{digest}, its file {name:?}, is not of {size} bytes"
                ))
            })?;
            bundle.carried.insert(name, content.clone());
        }
        Ok((bundle, self.signature))
    }
}

/// Whether it is written as digests are.
fn is_digest(text: &str) -> bool {
    digits(text.to_owned()).is_ok()
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

    /// A bundle there and back again.
    fn sent(
        bundle: &Bundle,
        signature: Option<&str>,
    ) -> Result<(Bundle, Option<String>), NoBundle> {
        let packed = encode(bundle, signature);
        let apart = packed.apart.iter();
        let apart = apart.map(|(digest, content)| (digest.clone(), content.to_vec()));
        decode(&packed.bytes)?.whole(&apart.collect())
    }

    #[test]
    fn a_bundle_is_the_same_at_the_other_end_and_equal_ones_are_equal_bytes() {
        let mut bundle = some();
        let bytes = encode(&bundle, Some("signed")).bytes;
        assert_eq!(bytes, encode(&bundle, Some("signed")).bytes);
        bundle.carried.insert("files/large".into(), vec![3; LARGE]);
        bundle.carried.insert("files/same".into(), vec![3; LARGE]);
        let (back, signature) = sent(&bundle, Some("signed")).unwrap();
        assert_eq!(format!("{back:?}"), format!("{bundle:?}"));
        assert_eq!(back.digest(), bundle.digest());
        assert_eq!(signature.as_deref(), Some("signed"));
    }

    #[test]
    fn large_files_are_contents_of_their_own_that_stay_the_same() {
        let mut bundle = some();
        bundle
            .carried
            .insert("plugins/a.wasm".into(), vec![3; LARGE]);
        bundle.carried.insert("files/b".into(), vec![3; LARGE - 1]);
        let mut later = bundle.clone();
        later.seed = [8; 32];
        let (first, second) = (encode(&bundle, None), encode(&later, None));
        assert_ne!(first.bytes, second.bytes);
        assert_eq!(first.apart, second.apart);
        let apart = decode(&first.bytes).unwrap().apart();
        assert_eq!(apart.len(), 1);
        assert_eq!(first.apart[&apart[0].digest], vec![3; LARGE]);
    }

    #[test]
    fn a_large_file_that_is_missing_or_another_is_refused() {
        let mut bundle = some();
        bundle.carried.insert("files/large".into(), vec![3; LARGE]);
        let opened = || decode(&encode(&bundle, None).bytes).unwrap();
        let digest = opened().apart()[0].digest.clone();
        assert!(opened().whole(&BTreeMap::new()).is_err());
        let other = [(digest, vec![3; LARGE + 1])].into();
        assert!(opened().whole(&other).is_err());
        let place = |size| generated::Apart {
            digest: opened().apart()[0].digest.clone(),
            size,
        };
        let with = |name: &str, apart: generated::Apart| {
            let mut bytes = encode(&some(), None).bytes;
            let more = generated::Bundle {
                apart: [(name.to_owned(), apart)].into(),
                ..generated::Bundle::default()
            };
            more.encode(&mut bytes).unwrap();
            decode(&bytes)
        };
        assert!(with("files/b", place(1)).is_ok());
        let nameless = generated::Apart::default();
        for (name, apart) in [
            ("files/a", place(1)),
            ("../b", place(1)),
            ("files/b", place(bundle::MAX_CARRIED)),
            ("files/b", place(u64::MAX)),
            ("files/b", nameless),
        ] {
            assert!(with(name, apart).is_err(), "{name}");
        }
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
            assert!(sent(&bundle, None).is_err());
        }
        let bytes = encode(&some(), None).bytes;
        for length in 0..bytes.len() {
            // Cut where a file begins, what is left is a whole bundle that carries less; its digest tells.
            let _ = decode(&bytes[..length]);
        }
        assert!(decode(&bytes[..20]).is_err());
        assert!(decode(&[0xff; 64]).is_err());
    }
}
