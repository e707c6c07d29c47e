//! What travels to where steps run: the script, what it carries, and what it was started with.

use std::collections::BTreeMap;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::{Value, cbor, value::base16};

/// Most bytes of script text.
pub const MAX_SCRIPT: u64 = 4 << 20;
/// Most bytes a bundle carries beside the script.
pub const MAX_CARRIED: u64 = 64 << 20;

/// A workflow file and all it needs, with the run's start time and seed, from which the clock and
/// randomness answer while the file is loaded.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Name for messages, for example `deploy.sloth`.
    pub name: String,
    pub script: Vec<u8>,
    /// Files of the `files/` and `templates/` folders beside the script, by path relative to it.
    pub carried: BTreeMap<String, Vec<u8>>,
    /// A map.
    pub values: Value,
    pub started: SystemTime,
    pub seed: [u8; 32],
}

impl Bundle {
    /// What the bundle's author made: `sha256:` and 64 hexadecimal digits over the script and the
    /// carried files. Values, start time and seed differ from run to run and are left out, so a
    /// policy can recognise the same bundle again.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(b"sloth-bundle-1");
        add(&self.script);
        for (path, content) in &self.carried {
            add(path.as_bytes());
            add(content);
        }
        format!("sha256:{}", base16(&hash.finalize()))
    }

    /// What tells the values apart, which the caller gave: `none`, or `sha256:` and 64 hexadecimal digits.
    pub fn values_digest(&self) -> String {
        if self.values.as_map().is_none_or(BTreeMap::is_empty) {
            return "none".to_owned();
        }
        format!("sha256:{}", base16(&Sha256::digest(self.values_cbor())))
    }

    /// The values as the guest takes them.
    pub fn values_cbor(&self) -> Vec<u8> {
        cbor::encode(&self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(script: &str, carried: &[(&str, &str)]) -> Bundle {
        Bundle {
            name: "a.sloth".into(),
            script: script.into(),
            carried: carried
                .iter()
                .map(|(p, c)| ((*p).into(), (*c).into()))
                .collect(),
            values: Value::empty(),
            started: SystemTime::UNIX_EPOCH,
            seed: [0; 32],
        }
    }

    #[test]
    fn the_digest_covers_script_and_carried_files_and_nothing_of_the_run() {
        let base = bundle("x", &[("files/a", "1")]);
        let mut later = base.clone();
        later.seed = [9; 32];
        later.values = Value::Map([("k".to_owned(), Value::Null)].into());
        assert_eq!(base.digest(), later.digest());
        assert_eq!(base.values_digest(), "none");
        assert!(later.values_digest().starts_with("sha256:"));
        assert_ne!(base.digest(), bundle("y", &[("files/a", "1")]).digest());
        assert_ne!(base.digest(), bundle("x", &[("files/a", "2")]).digest());
        assert_ne!(base.digest(), bundle("x", &[("files/a1", "")]).digest());
    }
}
