//! `events`: events of a workflow's own, among those of the run.

use std::time::{Duration, Instant};

use sloth_policy::Capability;
use sloth_workflow::{Untrusted, cbor};
use wasmtime::component::HasData;

use super::error::{Error, Result};
use crate::bindings::sloth::host::events;
use crate::gate::Gate;
use crate::learn::Permit;

/// What an event may carry.
const BOUNDS: cbor::Bounds = cbor::Bounds {
    size: 64 << 10,
    depth: 32,
    entries: 10_000,
};
/// Longest type, in bytes.
const LONGEST_KIND: usize = 128;
/// Most events of one step.
const MOST: u32 = 1_000;
/// Most events of a step in any one second.
const MOST_A_SECOND: u32 = 100;

pub(crate) struct Events;

pub(crate) struct EventsView<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) rate: &'a mut Rate,
}

/// How many events a step has emitted.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    all: u32,
    /// When the second that is counted began, and how many there were in it.
    second: Option<(Instant, u32)>,
}

impl HasData for Events {
    type Data<'a> = EventsView<'a>;
}

impl events::Host for EventsView<'_> {
    fn emit(&mut self, kind: String, data: Vec<u8>) -> Result<()> {
        let permit = self
            .gate
            .permit_name(Capability::EventsEmit, "events.emit", &kind)?;
        check_kind(&kind)?;
        let data = cbor::decode(&data, BOUNDS)
            .map_err(|error| Error::invalid(format!("the event cannot be emitted: {error}")))?;
        self.rate.count(Instant::now())?;
        if permit == Permit::Imagined {
            return Ok(());
        }
        Ok(self.gate.report.emitted(&kind, data)?)
    }
}

impl Rate {
    fn count(&mut self, now: Instant) -> Result<()> {
        let (began, count) = match self.second {
            Some((began, count)) if now.duration_since(began) < Duration::from_secs(1) => {
                (began, count)
            }
            _ => (now, 0),
        };
        if self.all >= MOST {
            return Err(Error::failed(format!("a task emits {MOST} events at most")));
        }
        if count >= MOST_A_SECOND {
            return Err(Error::failed(format!(
                "a task emits {MOST_A_SECOND} events in a second at most; emit fewer, or later"
            )));
        }
        self.all += 1;
        self.second = Some((began, count + 1));
        Ok(())
    }
}

/// A type that programs can match without quoting.
fn check_kind(kind: &str) -> Result<()> {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if kind.len() <= LONGEST_KIND && kind.split('.').all(word) {
        return Ok(());
    }
    let shown: String = kind.chars().take(LONGEST_KIND).collect();
    Err(Error::invalid(format!(
        "`{}` is no type of events: it is words of letters, digits, `-` and `_` with dots between \
         them, 128 bytes at most",
        Untrusted::new(shown).escaped()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_a_second_and_a_thousand_in_all() {
        let mut rate = Rate::default();
        let mut now = Instant::now();
        for second in 0..10 {
            for _ in 0..MOST_A_SECOND {
                rate.count(now).unwrap();
            }
            assert!(rate.count(now).is_err(), "{second}");
            now += Duration::from_secs(1);
        }
        assert!(rate.count(now).is_err());
    }

    #[test]
    fn types_are_words_with_dots_between() {
        for good in ["custom", "file.created", "a_b.c-d.9"] {
            assert!(check_kind(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            "a..b",
            "a b",
            "é",
            "a\u{1b}[2J",
            &"a".repeat(129),
        ] {
            assert!(check_kind(bad).is_err(), "{bad:?}");
        }
    }
}
