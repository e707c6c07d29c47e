//! How much of what a step looks at, and of what it is refused, is told one by one. A loop over a refused call
//! costs the step nothing, and must not cost the node its disk: what comes again and again, and what comes
//! in masses, is counted.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use crate::ports::audit::Kind;

/// How often one and the same call of a step is told.
const MOST_EQUAL: u32 = 100;
/// Most calls of one capability that a step is granted and that are told.
const MOST_CALLS: u32 = 10_000;
/// Most refusals of one capability that are told; as many as are shown.
const MOST_DENIALS: u32 = 1000;

#[derive(Default)]
pub(crate) struct Looks {
    /// How often each was told, by its fingerprint: nobody who does not know the keys makes two calls look
    /// like one.
    equal: HashMap<u64, u32>,
    hasher: RandomState,
    by_capability: BTreeMap<(bool, String), Told>,
}

#[derive(Default)]
struct Told {
    told: u32,
    untold: u64,
}

impl Looks {
    /// Whether one more is told, or else only counted.
    pub(crate) fn tells(&mut self, kind: Kind, capability: &str, subject: &str) -> bool {
        let refused = kind == Kind::Denial;
        let most = if refused { MOST_DENIALS } else { MOST_CALLS };
        let key = (refused, capability.to_owned());
        let fingerprint = self.hasher.hash_one((&key, subject));
        let of = self.by_capability.entry(key).or_default();
        let equal = self.equal.get(&fingerprint).copied().unwrap_or_default();
        if of.told >= most || equal >= MOST_EQUAL {
            of.untold += 1;
            return false;
        }
        of.told += 1;
        self.equal.insert(fingerprint, equal + 1);
        true
    }

    /// What was only counted since this was last asked.
    pub(crate) fn untold(&mut self) -> Vec<(Kind, String, u64)> {
        let mut all = Vec::new();
        for ((refused, capability), told) in &mut self.by_capability {
            let kind = if *refused { Kind::Denial } else { Kind::Call };
            let more = std::mem::take(&mut told.untold);
            if more > 0 {
                all.push((kind, capability.clone(), more));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_masses_is_told_up_to_a_bound_and_then_counted() {
        let mut looks = Looks::default();
        let mut told = |kind, capability: &str, subjects: u32, each: u32| {
            let calls = (0..subjects).flat_map(|number| vec![number.to_string(); each as usize]);
            calls
                .filter(|subject| looks.tells(kind, capability, subject))
                .count()
        };
        assert_eq!(told(Kind::Call, "files.read", 3, 150), 300);
        assert_eq!(told(Kind::Denial, "files.read", 5000, 1), 1000);
        assert_eq!(told(Kind::Call, "facts.read", 20_000, 1), 10_000);
        assert_eq!(
            told(Kind::Call, "files.read", 10, 1),
            7,
            "others are still told"
        );
        let untold: Vec<_> = looks
            .untold()
            .into_iter()
            .map(|(kind, of, more)| (kind.word(), of, more))
            .collect();
        let files = "files.read".to_owned();
        assert_eq!(
            untold,
            [
                ("call", "facts.read".to_owned(), 10_000),
                ("call", files.clone(), 153),
                ("denial", files, 4000)
            ]
        );
        assert!(looks.untold().is_empty());
    }
}
