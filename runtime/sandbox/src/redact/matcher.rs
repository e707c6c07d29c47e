//! All forms of all secrets, looked for in one pass.

use std::collections::HashMap;
use std::sync::Arc;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;

use super::forms::forms;

/// Finds secrets.
pub(crate) struct Matcher {
    automaton: NFA,
    start: StateID,
    /// Whether a byte begins any form.
    firsts: Box<[bool; 256]>,
    /// What is written in place of each pattern.
    marks: Vec<Arc<str>>,
    /// How many of the bytes read last may be the beginning of a form, by state; zero where nothing
    /// stands. These must wait for what follows.
    beginnings: HashMap<StateID, usize>,
}

impl Matcher {
    /// Looks for these secrets, each a name and a value; none when there are none.
    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let mut patterns = Vec::new();
        for (name, value) in secrets {
            let mark: Arc<str> = format!("<secret {name}>").into();
            let forms = forms(value).into_iter();
            patterns.extend(forms.map(|form| (form, Arc::clone(&mark))));
        }
        if patterns.is_empty() {
            return None;
        }
        // From short to long, as `beginnings` needs them.
        patterns.sort_by_key(|(form, _)| form.len());
        let (forms, marks): (Vec<_>, Vec<_>) = patterns.into_iter().unzip();
        let automaton = NFA::builder()
            .prefilter(false)
            .dense_depth(3)
            .build(&forms)
            .expect("a run's secrets are bounded");
        let start = automaton
            .start_state(Anchored::No)
            .expect("it searches anywhere");
        let beginnings = beginnings(&automaton, start, &forms);
        let mut firsts = Box::new([false; 256]);
        for form in &forms {
            firsts[usize::from(form[0])] = true;
        }
        Some(Self {
            automaton,
            start,
            firsts,
            marks,
            beginnings,
        })
    }

    pub(super) fn start(&self) -> StateID {
        self.start
    }

    /// How many bytes begin nothing where nothing has begun: most of a text.
    pub(super) fn idle(&self, state: StateID, bytes: &[u8]) -> usize {
        if state != self.start {
            return 0;
        }
        let begins = |byte: &u8| self.firsts[usize::from(*byte)];
        bytes.iter().position(begins).unwrap_or(bytes.len())
    }

    /// Takes one byte in.
    pub(super) fn next(&self, state: StateID, byte: u8) -> StateID {
        self.automaton.next_state(Anchored::No, state, byte)
    }

    /// The longest form that ends here: its length and what stands for it.
    pub(super) fn ending(&self, state: StateID) -> Option<(usize, &Arc<str>)> {
        if !self.automaton.is_special(state) || !self.automaton.is_match(state) {
            return None;
        }
        (0..self.automaton.match_len(state))
            .map(|index| self.automaton.match_pattern(state, index))
            .max_by_key(|pattern| self.automaton.pattern_len(*pattern))
            .map(|pattern| {
                let length = self.automaton.pattern_len(pattern);
                (length, &self.marks[pattern.as_usize()])
            })
    }

    /// How many of the bytes read last may be the beginning of a form.
    pub(super) fn beginning(&self, state: StateID) -> usize {
        self.beginnings.get(&state).copied().unwrap_or(0)
    }
}

/// A state of the automaton stands for the longest end of the text that begins a form. Where that is a
/// whole form which begins no longer one, a shorter end of it may.
fn beginnings(automaton: &NFA, start: StateID, forms: &[Vec<u8>]) -> HashMap<StateID, usize> {
    let next = |state, byte: &u8| automaton.next_state(Anchored::No, state, *byte);
    let mut beginnings = HashMap::new();
    for form in forms {
        let mut state = start;
        for (read, byte) in form[..form.len() - 1].iter().enumerate() {
            state = next(state, byte);
            beginnings.insert(state, read + 1);
        }
    }
    // Shorter forms come first, so that what a longer one ends with is known by then.
    for form in forms {
        let whole = form.iter().fold(start, next);
        if !beginnings.contains_key(&whole) {
            let end = form[1..].iter().fold(start, next);
            let length = beginnings.get(&end).copied().unwrap_or(0);
            beginnings.insert(whole, length);
        }
    }
    beginnings
}
