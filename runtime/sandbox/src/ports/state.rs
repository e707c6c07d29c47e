//! Values that the node keeps under keys, for the noun `state`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sloth_workflow::Untrusted;

use super::Problem;

/// Longest key, in bytes.
pub const LONGEST_KEY: usize = 256;
/// Most keys that a node keeps.
pub const MOST_KEYS: u64 = 100_000;
/// Most bytes of keys and values that a node keeps.
pub const MOST_BYTES: u64 = 64 << 20;

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// CBOR.
    pub value: Vec<u8>,
    /// From this moment on the key is absent; none is for ever. Kept to the millisecond.
    pub expires: Option<SystemTime>,
}

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Put(Entry),
    Delete,
}

/// Looks at what stands under a key and says what is to become of it, if anything.
pub type Plan<'a> = dyn FnMut(Option<&Entry>) -> Option<Write> + 'a;

/// Keeps values. Calls may block, on a disk and on other processes, for some seconds at most. What has
/// expired is absent to each of them.
pub trait State: fmt::Debug + Send + Sync {
    fn get(&self, key: &str) -> Result<Option<Entry>, Problem>;

    /// Every key, in order.
    fn keys(&self) -> Result<Vec<String>, Problem>;

    /// Asks `plan` with what is there and does what it answers, as one: nobody else's change comes
    /// between, and what was done outlives the machine's sudden end. Refuses what would keep more than
    /// [`MOST_KEYS`] or [`MOST_BYTES`].
    fn change(&self, key: &str, plan: &mut Plan<'_>) -> Result<(), Problem>;

    /// Removes every key that is `wanted`, as one; gives how many that were.
    fn clear(&self, wanted: &mut dyn FnMut(&str) -> bool) -> Result<u64, Problem>;
}

impl Entry {
    pub fn is_alive(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// Whether a text can be a key.
pub fn check_key(key: &str) -> Result<(), Problem> {
    let reason = if key.is_empty() {
        "is empty".to_owned()
    } else if key.len() > LONGEST_KEY {
        format!("is over {LONGEST_KEY} bytes")
    } else if key.chars().any(char::is_control) {
        "holds a control character".to_owned()
    } else {
        return Ok(());
    };
    let shown: String = key.chars().take(LONGEST_KEY).collect();
    let shown = Untrusted::new(shown).escaped();
    Err(Problem(format!("the key `{shown}` {reason}")))
}

/// What is to be said when there is no more room.
pub fn full() -> Problem {
    Problem(format!(
        "the node's state is full: it keeps {MOST_KEYS} keys and {} MiB at most; \
         sloth-runner state list shows them, and state clear removes some",
        MOST_BYTES >> 20
    ))
}

/// State that ends with the process: that of a node which keeps nothing.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<String, Entry>>);

impl Memory {
    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Entry>) -> T) -> T {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        entries.retain(|_, entry| entry.is_alive(now));
        act(&mut entries)
    }
}

impl State for Memory {
    fn get(&self, key: &str) -> Result<Option<Entry>, Problem> {
        Ok(self.with(|entries| entries.get(key).cloned()))
    }

    fn keys(&self) -> Result<Vec<String>, Problem> {
        Ok(self.with(|entries| entries.keys().cloned().collect()))
    }

    fn change(&self, key: &str, plan: &mut Plan<'_>) -> Result<(), Problem> {
        self.with(|entries| {
            match plan(entries.get(key)) {
                None => {}
                Some(Write::Delete) => drop(entries.remove(key)),
                Some(Write::Put(entry)) => {
                    let size = |(key, entry): (&String, &Entry)| key.len() + entry.value.len();
                    let others = entries.iter().filter(|(other, _)| *other != key);
                    let (keys, bytes) = others
                        .fold((1, key.len() + entry.value.len()), |sum, one| {
                            (sum.0 + 1, sum.1 + size(one))
                        });
                    if keys > MOST_KEYS || bytes as u64 > MOST_BYTES {
                        return Err(full());
                    }
                    entries.insert(key.to_owned(), entry);
                }
            }
            Ok(())
        })
    }

    fn clear(&self, wanted: &mut dyn FnMut(&str) -> bool) -> Result<u64, Problem> {
        Ok(self.with(|entries| {
            let before = entries.len();
            entries.retain(|key, _| !wanted(key));
            (before - entries.len()) as u64
        }))
    }
}
