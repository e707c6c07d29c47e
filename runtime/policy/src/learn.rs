//! Learn mode: from the calls that were tried to the smallest policy that allows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::capability::{Capability, Scope};
use crate::effective::Effective;
use crate::escape::{toml, visible};
use crate::finding;
use crate::glob;
use crate::grants::{Grants, Origin};
use crate::remedy::asked;
use crate::words;

/// A call that was tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Of a path or a name.
    Subject(Capability, String),
    /// A search, by its pattern.
    Pattern(Capability, String),
    /// A program as it was called, and its arguments.
    Command(Vec<String>),
    /// Of what is granted or not.
    Flag(Capability),
}

/// Calls that were tried, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls(BTreeSet<Call>);

impl Call {
    /// Whether a step with these grants may make it.
    pub fn is_allowed(&self, grants: &Effective) -> bool {
        match self {
            Self::Subject(capability, subject) if capability.scope() == Scope::Paths => {
                grants.path(*capability, subject).is_allowed()
            }
            // A pattern stands among what a grant of it covers, and in no narrower one's.
            Self::Pattern(capability, pattern) => grants.path(*capability, pattern).is_allowed(),
            Self::Subject(capability, subject) => grants.name(*capability, subject).is_allowed(),
            Self::Command(argv) => argv.split_first().is_some_and(|(program, arguments)| {
                grants.command(&asked(program, arguments)).is_allowed()
            }),
            Self::Flag(capability) => grants.flag(*capability).is_allowed(),
        }
    }

    fn capability(&self) -> Capability {
        match self {
            Self::Subject(capability, _)
            | Self::Pattern(capability, _)
            | Self::Flag(capability) => *capability,
            Self::Command(_) => Capability::ProcessRun,
        }
    }

    /// What a line must list; none for a flag, and for what no line can say.
    fn entry(&self) -> Option<String> {
        let entry = match self {
            Self::Subject(_, subject) => glob::escape(subject),
            Self::Pattern(_, pattern) => pattern.clone(),
            Self::Command(argv) => words::join(argv),
            Self::Flag(_) => return None,
        };
        let origin = Origin {
            file: "learned".into(),
            line: 1,
            dotted: false,
        };
        let mut grants = Grants::nothing();
        grants.entry(self.capability(), &entry, origin).ok()?;
        Some(entry)
    }
}

impl Calls {
    /// Remembers a call.
    pub fn note(&mut self, call: Call) {
        self.0.insert(call);
    }

    /// Each call once, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.0.iter()
    }

    /// The policy that allows these calls and nothing else: an entry for each, on a line of its own,
    /// none of which another makes needless. Nothing is generalised; whoever knows that `/srv/a` and
    /// `/srv/b` mean all of `/srv` writes so.
    pub fn policy(&self) -> String {
        let mut nouns: BTreeMap<&str, BTreeMap<Capability, Vec<String>>> = BTreeMap::new();
        let mut unsayable = Vec::new();
        for call in &self.0 {
            let capability = call.capability();
            if self.is_needless(call) {
                continue;
            }
            let entries = nouns
                .entry(capability.noun())
                .or_default()
                .entry(capability)
                .or_default();
            match call.entry() {
                Some(entry) => entries.push(entry),
                None if matches!(call, Call::Flag(_)) => {}
                None => unsayable.push(call),
            }
        }
        let mut text = String::from(
            "# Learned from a run: exactly what it tried. Read every line before granting it.\n\
             version = 1\n",
        );
        for call in unsayable {
            let Call::Subject(capability, subject) = call else {
                continue;
            };
            let _ = writeln!(
                text,
                "# {capability} of {} was tried; no line can allow that.",
                visible(subject)
            );
        }
        for (noun, verbs) in nouns {
            let mut table = String::new();
            for (capability, entries) in verbs {
                line(&mut table, capability, &entries);
            }
            if !table.is_empty() {
                let _ = write!(text, "\n[{noun}]\n{table}");
            }
        }
        text
    }

    /// Who may write may create.
    fn is_needless(&self, call: &Call) -> bool {
        let Call::Subject(capability, subject) = call else {
            return false;
        };
        capability.granted_by().iter().any(|other| {
            other != capability && self.0.contains(&Call::Subject(*other, subject.clone()))
        })
    }
}

fn line(table: &mut String, capability: Capability, entries: &[String]) {
    if capability == Capability::ProcessRun && !entries.is_empty() {
        table.push_str(
            "# What these programs touch themselves was not seen: they get no file, no socket and no\n\
             # variable but by further lines.\n",
        );
    }
    if capability.scope() == Scope::Flag {
        let mut grants = Grants::nothing();
        let origin = Origin {
            file: "learned".into(),
            line: 1,
            dotted: false,
        };
        grants.flag(capability, true, &origin);
        for found in finding::of(&grants) {
            let _ = writeln!(table, "# Careful: this amounts to {}.", found.amounts_to);
        }
        let _ = writeln!(table, "{} = true", capability.verb());
        return;
    }
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(table, "{} = [", capability.verb());
    for entry in entries {
        let _ = writeln!(table, "  {},", toml(entry));
    }
    table.push_str("]\n");
}
