//! The grants of one source: a policy's base, its `[deny]`, a workflow's declaration.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::capability::{Capability, Scope};
use crate::error::{ParseError, nearest};
use crate::finding;
use crate::glob::Glob;
use crate::network::{Network, Peer};
use crate::pattern::{CommandPattern, Invocation};
use crate::port::Port;
use crate::sink::{self, Sink};
use crate::unit::whole_unit;
use crate::url::Url;
use crate::url_pattern::UrlPattern;
use crate::wildcard::Wildcard;

/// What a workflow writes behind one verb of its `capabilities` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Entry {
    /// For verbs that are granted or not, such as `process.shell`.
    Flag(bool),
    /// For most: path globs, command patterns or names.
    Names(Vec<String>),
    /// For what is bound: by name, the programs or servers it may go to.
    Bound(BTreeMap<String, Vec<String>>),
}

/// The grants of one source. Nothing is granted that no line of it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    pub(crate) grants: Vec<Grant>,
}

/// One entry of one list, or one flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) capability: Capability,
    pub(crate) subject: Subject,
    pub(crate) origin: Origin,
    /// The entry as it was written; empty for a flag. Of what is bound, where it may go.
    pub(crate) text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Path(Glob),
    Command(CommandPattern),
    Name(Wildcard),
    Url(UrlPattern),
    Network(Network),
    /// What is named, as a pattern and as it was written, and where it may go.
    Bound(Wildcard, String, Sink),
    Port(Port),
    /// All there is.
    Flag,
}

/// Where a grant was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) file: Arc<str>,
    pub(crate) line: usize,
    /// It stands where the noun does not head a table of its own, so that a quote of it needs both.
    pub(crate) dotted: bool,
}

impl Grants {
    /// No grants at all.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Reads a workflow's or task's declaration: noun, verb, entry. Column 1 stands in every error,
    /// because `line` is all that is known of the place.
    pub fn declare(
        entries: &BTreeMap<String, BTreeMap<String, Entry>>,
        file: &str,
        line: usize,
    ) -> Result<Self, ParseError> {
        let origin = Origin {
            file: file.into(),
            line,
            dotted: true,
        };
        let error = |message, help| ParseError {
            file: file.to_owned(),
            line,
            column: 1,
            message,
            help,
        };
        let mut grants = Self::nothing();
        for (noun, verbs) in entries {
            let known: Vec<&str> = verbs_of(noun);
            if known.is_empty() {
                let help = nearest(noun, nouns());
                return Err(error(
                    format!("unknown noun `{noun}` in capabilities"),
                    help,
                ));
            }
            for (verb, entry) in verbs {
                let Some(capability) = Capability::from_name(&format!("{noun}.{verb}"))
                    .filter(|_| known.contains(&verb.as_str()))
                else {
                    let help = nearest(verb, known.iter().copied());
                    return Err(error(format!("unknown verb `{verb}` of `{noun}`"), help));
                };
                grants
                    .declared(capability, entry, &origin)
                    .map_err(|message| error(message, None))?;
            }
        }
        Ok(grants)
    }

    fn declared(
        &mut self,
        capability: Capability,
        entry: &Entry,
        origin: &Origin,
    ) -> Result<(), String> {
        let scope = capability.scope();
        match (entry, scope) {
            (Entry::Flag(granted), Scope::Flag | Scope::Ports) => {
                self.flag(capability, *granted, origin);
                Ok(())
            }
            // Lua has one empty table for both.
            (Entry::Names(entries), _) if scope.binds() && entries.is_empty() => Ok(()),
            (Entry::Names(entries), _) if !scope.binds() && scope != Scope::Flag => entries
                .iter()
                .try_for_each(|entry| self.entry(capability, entry, origin.clone())),
            (Entry::Bound(bound), Scope::Programs | Scope::Servers) => {
                bound.iter().try_for_each(|(name, sinks)| {
                    sinks
                        .iter()
                        .try_for_each(|sink| self.bind(capability, name, sink, origin.clone()))
                })
            }
            (_, Scope::Flag) => Err(format!("`{capability}` is true or false, not a list")),
            (_, Scope::Programs | Scope::Servers) => Err(format!(
                "`{capability}` is a table of lists by name, such as {{ [\"name\"] = {{ \"{}\" }} }}",
                sink::example(scope)
            )),
            (_, _) => Err(format!("`{capability}` is a list, not true or false")),
        }
    }

    /// Whether a line lets a secret of this name go anywhere.
    pub fn names_secret(&self, name: &str) -> bool {
        self.grants.iter().any(|grant| match &grant.subject {
            Subject::Bound(named, ..) => named.matches(name),
            Subject::Name(named) if grant.capability == Capability::SecretsReveal => {
                named.matches(name)
            }
            _ => false,
        })
    }

    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// What either grants.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.grants.extend(other.grants);
        self
    }

    /// One line a grant, such as `files.write /srv/site/**`, in the order of the capabilities. The
    /// text is the source's own and not escaped for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut sorted: Vec<&Grant> = self.grants.iter().collect();
        sorted.sort_by_key(|grant| grant.capability);
        let mut lines: Vec<String> = sorted.into_iter().map(Grant::summary).collect();
        lines.dedup();
        lines
    }

    /// The grants that equal giving the account away, one sentence each: a shell, unconfined
    /// children, writing or deleting everywhere, any program. Empty if there are none. Not escaped
    /// for a terminal.
    pub fn gives_account_away(&self) -> Vec<String> {
        self.grants
            .iter()
            .filter_map(|grant| {
                let consequence = finding::account(grant)?;
                Some(format!("{} amounts to {consequence}", grant.summary()))
            })
            .collect()
    }

    /// Adds one entry of a list. The error names the entry.
    pub(crate) fn entry(
        &mut self,
        capability: Capability,
        text: &str,
        origin: Origin,
    ) -> Result<(), String> {
        let refused = |reason: String| format!("`{text}` in `{capability}` {reason}");
        let subject = match capability.scope() {
            Scope::Paths => Subject::Path(Glob::parse(text).map_err(refused)?),
            Scope::Commands => Subject::Command(CommandPattern::parse(text).map_err(refused)?),
            Scope::Names if text.is_empty() => {
                return Err(format!("an entry of `{capability}` is empty"));
            }
            Scope::Names if capability.noun() == "services" => {
                Subject::Name(Wildcard::parse(&whole_unit(text)).map_err(refused)?)
            }
            Scope::Names => Subject::Name(Wildcard::parse(text).map_err(refused)?),
            Scope::Urls => Subject::Url(UrlPattern::parse(text).map_err(refused)?),
            Scope::Networks => Subject::Network(Network::parse(text).map_err(refused)?),
            Scope::Ports => Subject::Port(Port::parse(text).map_err(refused)?),
            Scope::Programs | Scope::Servers => {
                return Err(format!("`{capability}` is a table of lists by name"));
            }
            Scope::Flag => return Err(format!("`{capability}` is true or false")),
        };
        self.grants.push(Grant {
            capability,
            subject,
            origin,
            text: text.to_owned(),
        });
        Ok(())
    }

    /// Adds one place that what is named may go to. The error names the entry.
    pub(crate) fn bind(
        &mut self,
        capability: Capability,
        name: &str,
        text: &str,
        origin: Origin,
    ) -> Result<(), String> {
        if name.is_empty() {
            return Err(format!("a name in `{capability}` is empty"));
        }
        let named = Wildcard::parse(name)
            .map_err(|reason| format!("`{name}` in `{capability}` {reason}"))?;
        let sink = Sink::parse(capability.scope(), text)
            .map_err(|reason| format!("`{text}` in `{capability}` {reason}"))?;
        self.grants.push(Grant {
            capability,
            subject: Subject::Bound(named, name.to_owned(), sink),
            origin,
            text: text.to_owned(),
        });
        Ok(())
    }

    /// Adds a flag; `false` grants nothing.
    pub(crate) fn flag(&mut self, capability: Capability, granted: bool, origin: &Origin) {
        if granted {
            let origin = origin.clone();
            self.grants.push(Grant {
                capability,
                subject: Subject::Flag,
                origin,
                text: String::new(),
            });
        }
    }
}

impl Grant {
    /// `files.write /srv/site/**`, or `process.shell` for what is granted as a whole.
    pub(crate) fn summary(&self) -> String {
        match &self.subject {
            Subject::Flag => self.capability.name().to_owned(),
            Subject::Bound(_, name, _) => format!("{} {name} {}", self.capability, self.text),
            _ => format!("{} {}", self.capability, self.text),
        }
    }

    /// `policy.toml:4: read = ["/etc/nginx/**"]`. Only the entry that decides is quoted.
    pub(crate) fn quoted(&self) -> String {
        let Origin { file, line, dotted } = &self.origin;
        let key = if *dotted {
            self.capability.name()
        } else {
            self.capability.verb()
        };
        let value = match &self.subject {
            Subject::Flag => "true".to_owned(),
            Subject::Bound(_, name, _) => sink::table(name, &self.text),
            _ => format!("[{}]", crate::escape::toml(&self.text)),
        };
        format!("{file}:{line}: {key} = {value}")
    }

    /// Whether it covers a path, a name or a port; commands, URLs and peers have questions of their own.
    pub(crate) fn covers(&self, subject: &str) -> bool {
        match &self.subject {
            Subject::Path(glob) => glob.matches(subject),
            Subject::Name(wildcard) => wildcard.matches(subject),
            Subject::Port(port) => Port::parse(subject) == Ok(*port),
            Subject::Flag => true,
            Subject::Command(_) | Subject::Url(_) | Subject::Network(_) | Subject::Bound(..) => {
                false
            }
        }
    }

    /// Whether it covers what is named going to a place.
    pub(crate) fn covers_going(&self, name: &str, to: &str) -> bool {
        match &self.subject {
            Subject::Bound(named, _, sink) => named.matches(name) && sink.takes(to),
            _ => false,
        }
    }

    pub(crate) fn covers_url(&self, url: &Url) -> bool {
        matches!(&self.subject, Subject::Url(pattern) if pattern.matches(url))
    }

    pub(crate) fn covers_peer(&self, peer: Peer<'_>) -> bool {
        matches!(&self.subject, Subject::Network(network) if network.holds(peer))
    }

    pub(crate) fn covers_command(&self, invocation: &Invocation<'_>, as_deny: bool) -> bool {
        match &self.subject {
            Subject::Command(pattern) if as_deny => pattern.denies(invocation),
            Subject::Command(pattern) => pattern.grants(invocation),
            _ => false,
        }
    }
}

/// Every noun once, in order.
pub(crate) fn nouns() -> Vec<&'static str> {
    let mut nouns: Vec<&str> = Capability::ALL
        .iter()
        .map(|capability| capability.noun())
        .collect();
    nouns.dedup();
    nouns
}

/// The verbs of a noun, in order; none for what is no noun.
pub(crate) fn verbs_of(noun: &str) -> Vec<&'static str> {
    Capability::ALL
        .iter()
        .filter(|capability| capability.noun() == noun)
        .map(|capability| capability.verb())
        .collect()
}
