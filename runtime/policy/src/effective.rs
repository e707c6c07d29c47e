//! What a step may do: every layer must allow it, and what is denied or protected wins.

use std::collections::BTreeSet;

use crate::capability::Capability;
use crate::denial::{Decision, Layer};
use crate::glob::is_normal;
use crate::grants::{Grants, Subject};
use crate::index::Index;
use crate::inside::shows_inside;
use crate::network::{Block, Names, Network, Peer, is_special};
use crate::paths::PathSet;
use crate::pattern::{CommandPattern, Invocation};
use crate::policy::Policy;
use crate::port::{self, Port};
use crate::rule::Identity;
use crate::sink::Sink;
use crate::unit::whole_unit;
use crate::url::Url;
use crate::url_pattern::UrlPattern;
use crate::wildcard::Wildcard;

/// The grants of one step, compiled once so that a decision neither allocates nor walks them all.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The workflow's and the task's; last that of a plugin, where one asks.
    pub(crate) declarations: Vec<Source>,
    /// The plugin that asks, whose last word the last declaration is.
    pub(crate) plugin: Option<Box<str>>,
    pub(crate) policy: Source,
    pub(crate) deny: Source,
    pub(crate) protected: PathSet,
}

/// The grants of one layer: as written, for naming lines, and compiled, for deciding.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) grants: Grants,
    /// One for each capability, in the order of `Capability::ALL`.
    sets: Box<[Set]>,
}

/// What one layer says of one capability. Which of them is filled follows from its scope; a
/// question of another kind finds an empty one, and that refuses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    pub(crate) paths: PathSet,
    commands: Commands,
    names: Index<Wildcard>,
    urls: Index<UrlPattern>,
    networks: Networks,
    bound: Index<(Wildcard, Sink)>,
    pub(crate) ports: BTreeSet<Port>,
    pub(crate) flag: bool,
}

/// Networks and names, each asked in its own way.
#[derive(Clone, Debug, Default)]
struct Networks {
    blocks: Box<[Block]>,
    names: Index<Names>,
}

/// Command patterns by how they name their program.
#[derive(Clone, Debug, Default)]
struct Commands {
    by_path: Index<CommandPattern>,
    by_name: Index<CommandPattern>,
}

impl Effective {
    /// Puts the layers of a step together.
    ///
    /// `declarations` are the workflow's and the task's; who declares nothing restricts nothing and
    /// is left out. `protected` are absolute paths that are the node's own: each and all beneath it
    /// are refused, whatever is granted.
    pub fn new(
        policy: &Policy,
        bundle: impl Into<Identity>,
        declarations: &[Grants],
        protected: Vec<String>,
    ) -> Self {
        let granting = |grants: Grants| Source::compile(grants, Capability::granted_by);
        Self {
            declarations: declarations.iter().cloned().map(granting).collect(),
            plugin: None,
            policy: granting(policy.grants_for(bundle)),
            deny: Source::compile(policy.deny().clone(), Capability::denied_by),
            protected: PathSet::trees(protected.iter().map(|path| normalised(path)).collect()),
        }
    }

    /// What a plugin may do that a step with these grants calls: what the step may, as far as the plugin's
    /// own section of the policy says so too.
    #[must_use]
    pub fn of_plugin(&self, name: &str, section: &Grants) -> Self {
        let mut narrowed = self.clone();
        let section = Source::compile(section.clone(), Capability::granted_by);
        narrowed.declarations.push(section);
        narrowed.plugin = Some(name.into());
        narrowed
    }

    /// Whether the capability covers an absolute path. A path that is not normal (see
    /// [`is_normal`](crate::glob::is_normal)) is refused, since it might name another place than it
    /// spells. Allocates nothing.
    pub fn path(&self, capability: Capability, path: &str) -> Decision {
        if !is_normal(path) {
            return Decision::Refused(Layer::Policy);
        }
        if self.protected.holds(path) || shows_inside(path) {
            return Decision::Refused(Layer::SelfProtection);
        }
        self.decide(
            capability,
            |set| set.paths.holds(path),
            |set| set.paths.holds(path),
        )
    }

    /// Whether the capability may cover anything in a folder or beneath it: what it does not needs not be
    /// looked at. Says yes in doubt.
    pub fn may_cover_beneath(&self, capability: Capability, folder: &str) -> bool {
        let stands_for = Capability::granted_by(capability);
        let reaches = |source: &Source| {
            source.grants.grants.iter().any(|grant| {
                stands_for.contains(&grant.capability)
                    && matches!(&grant.subject, Subject::Path(glob) if glob.may_match_beneath(folder))
            })
        };
        reaches(&self.policy) && self.declarations.iter().all(reaches)
    }

    /// Whether an absolute path is none of the node's own.
    pub fn is_free(&self, path: &str) -> bool {
        !self.protected.holds(path)
    }

    /// Whether the capability covers a name.
    pub fn name(&self, capability: Capability, name: &str) -> Decision {
        let units = capability.noun() == "services";
        let name = if units { whole_unit(name) } else { name.into() };
        let name = &*name;
        let holds = |set: &Set| set.names.any(name, |_, pattern| pattern.matches(name));
        self.decide(capability, holds, holds)
    }

    /// Whether the capability covers some name: what a pattern then finds is asked name by name.
    pub fn any_name(&self, capability: Capability) -> Decision {
        self.decide(
            capability,
            |_| false,
            |set| set.names.iter().next().is_some(),
        )
    }

    /// Whether what is named may go to a place: a program's absolute path, or a server such as
    /// `https://api.example.org`.
    pub fn going(&self, capability: Capability, name: &str, to: &str) -> Decision {
        if to.starts_with('/') && self.protected.holds(to) {
            return Decision::Refused(Layer::SelfProtection);
        }
        let holds = |set: &Set| {
            set.bound.any(name, |_, (named, sink)| {
                named.matches(name) && sink.takes(to)
            })
        };
        self.decide(capability, holds, holds)
    }

    /// Whether a line of the policy spells this very name, without a pattern. For subjects that
    /// no pattern should reach by accident; asked beside [`name`](Self::name), not in its place.
    pub fn names_exactly(&self, capability: Capability, name: &str) -> bool {
        self.policy.grants.grants.iter().any(|grant| {
            grant.capability == capability
                && matches!(&grant.subject, Subject::Name(pattern) if pattern.literal().as_deref() == Some(name))
        })
    }

    /// Whether a capability that is granted or not is; of what is granted by port, whether all of it is.
    pub fn flag(&self, capability: Capability) -> Decision {
        let denies = |set: &Set| set.flag || !set.ports.is_empty();
        self.decide(capability, denies, |set| set.flag)
    }

    /// Whether `http.send` covers a URL. Allocates nothing.
    pub fn url(&self, url: &Url) -> Decision {
        let holds = |set: &Set| set.urls.any(url.key(), |_, pattern| pattern.matches(url));
        self.decide(Capability::HttpSend, holds, holds)
    }

    /// Whether a peer may be connected to. What the internet routes may be reached unless it is denied;
    /// for anything else its address or its name must be under `http.addresses`. Allocates nothing.
    pub fn peer(&self, peer: Peer<'_>) -> Decision {
        let routed = peer.address().is_some_and(|address| !is_special(address));
        let open = routed && !peer.here;
        self.decide(
            Capability::HttpAddresses,
            |set| set.networks.hold(peer),
            |set| open || set.networks.hold(peer),
        )
    }

    /// Whether `process.run` covers a program with its arguments. Modifiers (a shell, the network,
    /// an account, variables) are questions of their own.
    pub fn command(&self, invocation: &Invocation<'_>) -> Decision {
        let program = invocation.program;
        if program.starts_with('/') {
            if !is_normal(program) {
                return Decision::Refused(Layer::Policy);
            }
            if self.protected.holds(program) {
                return Decision::Refused(Layer::SelfProtection);
            }
        }
        self.decide(
            Capability::ProcessRun,
            |set| set.commands.deny(invocation),
            |set| set.commands.grant(invocation),
        )
    }

    /// Deny first, because no grant outweighs it; then the declarations, because their author is
    /// nearer than the node's operator.
    pub(crate) fn decide(
        &self,
        capability: Capability,
        denies: impl Fn(&Set) -> bool,
        grants: impl Fn(&Set) -> bool,
    ) -> Decision {
        if denies(self.deny.set(capability)) {
            return Decision::Refused(Layer::Deny);
        }
        let (declared, section) = self.declared();
        let lacks = |source: &Source| !grants(source.set(capability));
        if declared.iter().any(lacks) {
            return Decision::Refused(Layer::Declaration);
        }
        if lacks(&self.policy) {
            return Decision::Refused(Layer::Policy);
        }
        // A plugin comes last: what its caller may not is for the caller to hear of first.
        if section.is_some_and(lacks) {
            return Decision::Refused(Layer::Plugin);
        }
        Decision::Allowed
    }

    /// The declarations of workflow and task, and the section of the plugin that asks.
    pub(crate) fn declared(&self) -> (&[Source], Option<&Source>) {
        match (self.plugin.is_some(), self.declarations.split_last()) {
            (true, Some((section, declared))) => (declared, Some(section)),
            _ => (&self.declarations, None),
        }
    }
}

impl Networks {
    fn hold(&self, peer: Peer<'_>) -> bool {
        let address = peer.address();
        address.is_some_and(|address| self.blocks.iter().any(|block| block.holds(address)))
            || self
                .names
                .any(peer.url.host_key(), |_, names| names.holds(peer.url.host()))
    }
}

impl Commands {
    fn of(patterns: &[CommandPattern]) -> Self {
        let by_path = patterns
            .iter()
            .filter_map(|pattern| Some((pattern.path_head()?.to_owned(), pattern.clone())));
        let by_name = patterns
            .iter()
            .filter_map(|pattern| Some((pattern.name_head()?, pattern.clone())));
        Self {
            by_path: Index::of(by_path.collect()),
            by_name: Index::of(by_name.collect()),
        }
    }

    fn grant(&self, invocation: &Invocation<'_>) -> bool {
        let grants = |_: &[u8], pattern: &CommandPattern| pattern.grants(invocation);
        self.by_path.any(invocation.program, grants)
            || invocation
                .found_as
                .is_some_and(|name| self.by_name.any(name, grants))
    }

    /// Few lines are deny lines, and a bare name of theirs means two names; so all are asked.
    fn deny(&self, invocation: &Invocation<'_>) -> bool {
        let mut patterns = self.by_path.iter().chain(self.by_name.iter());
        patterns.any(|(_, pattern)| pattern.denies(invocation))
    }
}

impl Source {
    fn compile(grants: Grants, stands_for: fn(Capability) -> &'static [Capability]) -> Self {
        let sets = Capability::ALL
            .iter()
            .map(|&capability| {
                let subjects = || {
                    grants
                        .grants
                        .iter()
                        .filter(move |grant| stands_for(capability).contains(&grant.capability))
                        .map(|grant| &grant.subject)
                };
                let mut set = Set::default();
                let (mut commands, mut names, mut urls) = (Vec::new(), Vec::new(), Vec::new());
                let (mut blocks, mut hosts, mut bound) = (Vec::new(), Vec::new(), Vec::new());
                for subject in subjects() {
                    match subject {
                        Subject::Path(_) | Subject::Port(_) => {}
                        Subject::Command(pattern) => commands.push(pattern.clone()),
                        Subject::Name(name) => names.push((name.head(), name.clone())),
                        Subject::Url(pattern) => urls.push((pattern.head(), pattern.clone())),
                        Subject::Network(Network::Block(block)) => blocks.push(*block),
                        Subject::Network(Network::Names(names)) => {
                            hosts.push((names.head(), names.clone()));
                        }
                        Subject::Bound(wildcard, _, sink) => {
                            bound.push((wildcard.head(), (wildcard.clone(), sink.clone())));
                        }
                        Subject::Flag => set.flag = true,
                    }
                }
                set.paths = PathSet::of(subjects().filter_map(|subject| match subject {
                    Subject::Path(glob) => Some(glob),
                    _ => None,
                }));
                set.ports = port::named(subjects());
                Set {
                    commands: Commands::of(&commands),
                    names: Index::of(names),
                    urls: Index::of(urls),
                    networks: Networks {
                        blocks: blocks.into(),
                        names: Index::of(hosts),
                    },
                    bound: Index::of(bound),
                    ..set
                }
            })
            .collect();
        Self { grants, sets }
    }

    pub(crate) fn set(&self, capability: Capability) -> &Set {
        &self.sets[capability as usize]
    }
}

/// Takes a path of the node's own apart and together again, so that a trailing or doubled slash does
/// not leave it unprotected. What is not absolute protects everything: that fault shows at once.
fn normalised(path: &str) -> String {
    let mut components = Vec::new();
    if path.starts_with('/') {
        for component in path.split('/') {
            match component {
                "" | "." => {}
                ".." => drop(components.pop()),
                name => components.push(name),
            }
        }
    }
    components
        .iter()
        .flat_map(|component| ["/", component])
        .collect()
}
