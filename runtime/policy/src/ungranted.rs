//! What a workflow declares and a node grants nothing of: known before anything runs.

use crate::capability::Capability;
use crate::escape::{toml, visible};
use crate::glob::{Glob, static_prefix};
use crate::grants::{Grant, Grants, Subject};
use crate::paths::is_beneath;
use crate::policy::Policy;
use crate::rule::Identity;
use crate::sink::{self, Sink};
use crate::wildcard::{Piece, Wildcard};
use crate::words::pattern_words;

/// A declared capability that would be refused whatever it is used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ungranted {
    /// Such as `files.write /etc/motd`. Not escaped for a terminal.
    pub declared: String,
    /// The line of a policy that would grant it.
    pub remedy: String,
}

impl Policy {
    /// Each declared capability of which this policy grants nothing to the bundle, in the order they
    /// are declared. One of which a part is granted is not among them: the step then has that part.
    pub fn ungranted(&self, declared: &Grants, bundle: &Identity) -> Vec<Ungranted> {
        let granted = self.grants_for(bundle);
        let mut missing: Vec<Ungranted> = Vec::new();
        for wanted in &declared.grants {
            let some = granted.grants.iter().any(|grant| {
                wanted.capability.granted_by().contains(&grant.capability) && overlap(wanted, grant)
            }) || may_only_create(wanted, &granted);
            let refused = Ungranted {
                declared: wanted.summary(),
                remedy: remedy(wanted),
            };
            if !some && !missing.contains(&refused) {
                missing.push(refused);
            }
        }
        missing
    }
}

/// Who may create has a part of what writing is.
fn may_only_create(wanted: &Grant, granted: &Grants) -> bool {
    wanted.capability == Capability::FilesWrite
        && granted
            .grants
            .iter()
            .any(|grant| grant.capability == Capability::FilesCreate && overlap(wanted, grant))
}

/// Whether two grants may have something in common. Says yes in doubt.
fn overlap(one: &Grant, other: &Grant) -> bool {
    match (&one.subject, &other.subject) {
        (Subject::Flag, Subject::Flag | Subject::Port(_)) | (Subject::Port(_), Subject::Flag) => {
            true
        }
        (Subject::Port(a), Subject::Port(b)) => a == b,
        (Subject::Url(a), Subject::Url(b)) => a.meets(b),
        (Subject::Network(a), Subject::Network(b)) => a.meets(b),
        (Subject::Bound(a, a_name, a_sink), Subject::Bound(b, b_name, b_sink)) => {
            names_overlap((a, a_name), (b, b_name))
                && match (a_sink, b_sink) {
                    (Sink::Program(a), Sink::Program(b)) => {
                        paths_overlap(a, &one.text, b, &other.text)
                    }
                    (Sink::Server(a), Sink::Server(b)) => a.meets(b),
                    _ => false,
                }
        }
        (Subject::Path(a), Subject::Path(b)) => paths_overlap(a, &one.text, b, &other.text),
        (Subject::Name(a), Subject::Name(b)) => names_overlap((a, &one.text), (b, &other.text)),
        (Subject::Command(_), Subject::Command(_)) => programs_overlap(&one.text, &other.text),
        _ => false,
    }
}

fn names_overlap((a, a_text): (&Wildcard, &str), (b, b_text): (&Wildcard, &str)) -> bool {
    match (a.literal(), b.literal()) {
        (Some(left), _) => b.matches(&left),
        (_, Some(right)) => a.matches(&right),
        (None, None) => {
            let (left, right) = (a.head(), b.head());
            a_text == b_text || left.starts_with(&right) || right.starts_with(&left)
        }
    }
}

fn paths_overlap(a: &Glob, a_text: &str, b: &Glob, b_text: &str) -> bool {
    let (left, right) = (static_prefix(a_text), static_prefix(b_text));
    match (has_wildcard(a_text), has_wildcard(b_text)) {
        (false, _) => b.matches(&left),
        (_, false) => a.matches(&right),
        (true, true) => {
            is_beneath(&left, right.trim_end_matches('/'))
                || is_beneath(&right, left.trim_end_matches('/'))
        }
    }
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether two command lines may mean one program, compared by its own name: where it lies is known only
/// when it is looked up, and a folder may be a link to another.
fn programs_overlap(one: &str, other: &str) -> bool {
    let (Some(a), Some(b)) = (program(one), program(other)) else {
        return true;
    };
    match (Wildcard::compile(&a), Wildcard::compile(&b)) {
        (Ok(left), Ok(right)) => names_overlap((&left, one), (&right, other)),
        // `**` at the end of a path is any program beneath it.
        _ => true,
    }
}

/// The last part of what names the program.
fn program(line: &str) -> Option<Vec<Piece>> {
    let mut words = pattern_words(line).ok()?.into_iter();
    let mut word = words.next()?;
    let name = word.iter().rposition(|piece| piece.character == '/');
    Some(word.split_off(name.map_or(0, |slash| slash + 1)))
}

fn remedy(grant: &Grant) -> String {
    let capability = grant.capability;
    let value = match &grant.subject {
        Subject::Flag => "true".to_owned(),
        Subject::Bound(_, name, _) => sink::table(name, &grant.text),
        _ => format!("[{}]", toml(&grant.text)),
    };
    visible(&format!(
        "[{}] {} = {value}",
        capability.noun(),
        capability.verb()
    ))
}
