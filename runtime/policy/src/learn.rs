//! Learn mode: from the calls that were tried to the smallest policy that allows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::capability::{Capability, Scope};
use crate::effective::Effective;
use crate::escape::{toml, visible};
use crate::finding;
use crate::grants::{Grant, Grants, Origin, Subject};
use crate::network::Peer;
use crate::port::Port;
use crate::remedy::{asked, bound, listed, peer_named};
use crate::sink;
use crate::url::Url;
use crate::words;

/// A call that was tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Of a path, a name, a URL without its query, or a host that is to be connected to.
    Subject(Capability, String),
    /// A search for paths or names, by its pattern.
    Pattern(Capability, String),
    /// A program as it was called, and its arguments.
    Command(Vec<String>),
    /// Of what is named, and where it was to go.
    Going(Capability, String, String),
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
            Self::Subject(capability, subject) => match capability.scope() {
                Scope::Paths => grants.path(*capability, subject).is_allowed(),
                Scope::Urls => Url::parse(subject).is_ok_and(|url| grants.url(&url).is_allowed()),
                Scope::Networks => peer_named(subject).is_ok_and(|url| {
                    let peer = Peer {
                        url: &url,
                        address: None,
                        here: false,
                    };
                    grants.peer(peer).is_allowed()
                }),
                Scope::Ports => {
                    Port::parse(subject).is_ok_and(|port| grants.port(port).is_allowed())
                }
                _ => grants.name(*capability, subject).is_allowed(),
            },
            // A search for whatever there is finds what is granted.
            Self::Pattern(capability, pattern) if is_open(*capability, pattern) => {
                grants.any_name(*capability).is_allowed()
            }
            Self::Pattern(capability, pattern) => {
                let lines = &grants.policy.grants.grants;
                lines.iter().any(|grant| {
                    capability.granted_by().contains(&grant.capability)
                        // A pattern stands among what a grant of it covers, but for its brackets.
                        && (grant.text == *pattern || grant.covers(pattern))
                })
            }
            Self::Command(argv) => argv.split_first().is_some_and(|(program, arguments)| {
                grants.command(&asked(program, arguments)).is_allowed()
            }),
            Self::Going(capability, name, to) => grants.going(*capability, name, to).is_allowed(),
            Self::Flag(capability) => grants.flag(*capability).is_allowed(),
        }
    }

    /// The same call with other texts.
    #[must_use]
    pub fn with_texts(self, text: impl Fn(String) -> String) -> Self {
        match self {
            Self::Subject(capability, subject) => Self::Subject(capability, text(subject)),
            Self::Pattern(capability, pattern) => Self::Pattern(capability, text(pattern)),
            Self::Command(argv) => Self::Command(argv.into_iter().map(text).collect()),
            Self::Going(capability, name, to) => Self::Going(capability, text(name), text(to)),
            Self::Flag(capability) => Self::Flag(capability),
        }
    }

    fn capability(&self) -> Capability {
        match self {
            Self::Subject(capability, _)
            | Self::Pattern(capability, _)
            | Self::Going(capability, ..)
            | Self::Flag(capability) => *capability,
            Self::Command(_) => Capability::ProcessRun,
        }
    }

    /// What it was about, for a person.
    fn words(&self) -> String {
        match self {
            Self::Subject(_, subject) | Self::Pattern(_, subject) => subject.clone(),
            Self::Command(argv) => words::join(argv),
            Self::Going(_, name, to) => format!("{name} {to}"),
            Self::Flag(_) => String::new(),
        }
    }

    /// The grants that a line for it makes; none for what no line can say. The remedy of its refusal says
    /// the same.
    fn grants(&self) -> Option<Grants> {
        let capability = self.capability();
        let origin = Origin {
            file: "learned".into(),
            line: 1,
            dotted: false,
        };
        let mut grants = Grants::nothing();
        let made = match self {
            Self::Subject(_, subject) => {
                grants.entry(capability, &listed(capability, subject)?, origin)
            }
            Self::Pattern(_, pattern) => grants.entry(capability, pattern, origin),
            Self::Command(argv) => grants.entry(capability, &words::join(argv), origin),
            Self::Going(_, name, to) => {
                let (name, place) = bound(capability, name, to)?;
                grants.bind(capability, &name, &place, origin)
            }
            Self::Flag(_) => {
                grants.flag(capability, true, &origin);
                Ok(())
            }
        };
        made.ok().map(|()| grants)
    }
}

/// Whether a pattern of names is of all there are: to ask for them needs a grant of any.
fn is_open(capability: Capability, pattern: &str) -> bool {
    capability.scope() == Scope::Names && pattern == "*"
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
        let mut nouns: BTreeMap<&str, BTreeMap<Capability, BTreeSet<Line>>> = BTreeMap::new();
        let mut unsayable = Vec::new();
        let wide = self.wide();
        for call in &self.0 {
            let capability = call.capability();
            if self.is_needless(call, &wide) {
                continue;
            }
            let Some(Grants { grants }) = call.grants() else {
                unsayable.push(call);
                continue;
            };
            let verbs = nouns.entry(capability.noun()).or_default();
            let lines = verbs.entry(capability).or_default();
            lines.extend(grants.into_iter().map(|grant| match grant.subject {
                Subject::Bound(_, name, _) => (Some(name), grant.text),
                _ => (None, grant.text),
            }));
        }
        let mut text = String::from(
            "# Learned from a run: exactly what it tried. Read every line before granting it.\n\
             version = 1\n",
        );
        for call in unsayable {
            let _ = writeln!(
                text,
                "# {} of {} was tried; no line can allow that.",
                call.capability(),
                visible(&call.words())
            );
        }
        for (noun, verbs) in nouns {
            let _ = write!(text, "\n[{noun}]\n");
            for (capability, lines) in verbs {
                write_key(&mut text, capability, &lines);
            }
        }
        text
    }

    /// What covers more than one call.
    fn wide(&self) -> Vec<Grant> {
        let wide = self.0.iter().filter(|call| match call {
            Call::Pattern(capability, pattern) => !is_open(*capability, pattern),
            Call::Subject(_, subject) => subject == "*",
            _ => false,
        });
        wide.filter_map(Call::grants)
            .flat_map(|grants| grants.grants)
            .collect()
    }

    /// Who may write may create, and what a wider line covers needs none of its own.
    fn is_needless(&self, call: &Call, wide: &[Grant]) -> bool {
        let capability = call.capability();
        let covers = |grant: &Grant, text: &str| {
            capability.granted_by().contains(&grant.capability)
                && grant.text != text
                && grant.covers(text)
        };
        match call {
            Call::Subject(_, subject) => {
                let written = |other: &Capability| {
                    let same = Call::Subject(*other, subject.clone());
                    *other != capability && self.0.contains(&same)
                };
                let every = subject == "*" && listed(capability, "*").as_deref() == Some("*");
                capability.granted_by().iter().any(written)
                    || !every && wide.iter().any(|grant| covers(grant, subject))
            }
            Call::Pattern(_, pattern) if is_open(capability, pattern) => {
                // Any other line of it will do.
                let others = self.0.iter().filter(|other| *other != call);
                let mut others = others.filter(|other| other.capability() == capability);
                others.any(|other| other.grants().is_some())
            }
            Call::Pattern(_, pattern) => wide.iter().any(|grant| covers(grant, pattern)),
            Call::Command(_) | Call::Going(..) | Call::Flag(_) => false,
        }
    }
}

/// An entry, and of what is bound under which name it stands.
type Line = (Option<String>, String);

fn write_key(table: &mut String, capability: Capability, lines: &BTreeSet<Line>) {
    let verb = capability.verb();
    if capability == Capability::ProcessRun {
        table.push_str(
            "# What these programs touch themselves was not seen: they get no file, no socket and no\n\
             # variable but by further lines.\n",
        );
    }
    // What is granted as a whole has no text.
    if lines.iter().any(|(_, entry)| entry.is_empty()) {
        if let Some(grants) = Call::Flag(capability).grants() {
            for found in finding::of(&grants) {
                let _ = writeln!(table, "# Careful: this amounts to {}.", found.amounts_to);
            }
        }
        let _ = writeln!(table, "{verb} = true");
        return;
    }
    let mut lists: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    for (name, entry) in lines {
        lists.entry(name.as_deref()).or_default().push(entry);
    }
    for (name, entries) in lists {
        let name = name.map_or(String::new(), |name| format!(".{}", sink::key(name)));
        let _ = writeln!(table, "{verb}{name} = [");
        for entry in entries {
            let _ = writeln!(table, "  {},", toml(entry));
        }
        table.push_str("]\n");
    }
}
