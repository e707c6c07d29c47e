//! What a step may do: every layer must allow it, and what is denied or protected wins.

use crate::capability::Capability;
use crate::denial::{Decision, Layer};
use crate::glob::is_normal;
use crate::grants::{Grants, Subject, unit};
use crate::index::Index;
use crate::paths::PathSet;
use crate::pattern::{CommandPattern, Invocation};
use crate::policy::Policy;
use crate::wildcard::Wildcard;

/// The grants of one step, compiled once so that a decision neither allocates nor walks them all.
#[derive(Clone, Debug)]
pub struct Effective {
    pub(crate) declarations: Vec<Source>,
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

/// What one layer says of one capability. Which of the four is filled follows from its scope; a
/// question of another kind finds an empty one, and that refuses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    pub(crate) paths: PathSet,
    commands: Commands,
    names: Index<Wildcard>,
    flag: bool,
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
        bundle_digest: &str,
        declarations: &[Grants],
        protected: Vec<String>,
    ) -> Self {
        let granting = |grants: Grants| Source::compile(grants, Capability::granted_by);
        Self {
            declarations: declarations.iter().cloned().map(granting).collect(),
            policy: granting(policy.grants_for(bundle_digest)),
            deny: Source::compile(policy.deny().clone(), Capability::denied_by),
            protected: PathSet::trees(protected.iter().map(|path| normalised(path)).collect()),
        }
    }

    /// Whether the capability covers an absolute path. A path that is not normal (see
    /// [`is_normal`](crate::glob::is_normal)) is refused, since it might name another place than it
    /// spells. Allocates nothing.
    pub fn path(&self, capability: Capability, path: &str) -> Decision {
        if !is_normal(path) {
            return Decision::Refused(Layer::Policy);
        }
        if self.protected.holds(path) {
            return Decision::Refused(Layer::SelfProtection);
        }
        self.decide(
            capability,
            |set| set.paths.holds(path),
            |set| set.paths.holds(path),
        )
    }

    /// Whether an absolute path is none of the node's own.
    pub fn is_free(&self, path: &str) -> bool {
        !self.protected.holds(path)
    }

    /// Whether the capability covers a name.
    pub fn name(&self, capability: Capability, name: &str) -> Decision {
        let units = capability.noun() == "services";
        let name = if units { unit(name) } else { name.into() };
        let name = &*name;
        let holds = |set: &Set| set.names.any(name, |_, pattern| pattern.matches(name));
        self.decide(capability, holds, holds)
    }

    /// Whether any name at all is covered: for calls that tell of those that are.
    pub fn any_name(&self, capability: Capability) -> Decision {
        let some = |set: &Set| set.names.iter().next().is_some();
        self.decide(capability, |_| false, some)
    }

    /// Whether a capability that is granted or not is.
    pub fn flag(&self, capability: Capability) -> Decision {
        self.decide(capability, |set| set.flag, |set| set.flag)
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
    fn decide(
        &self,
        capability: Capability,
        denies: impl Fn(&Set) -> bool,
        grants: impl Fn(&Set) -> bool,
    ) -> Decision {
        if denies(self.deny.set(capability)) {
            return Decision::Refused(Layer::Deny);
        }
        if !self
            .declarations
            .iter()
            .all(|source| grants(source.set(capability)))
        {
            return Decision::Refused(Layer::Declaration);
        }
        if !grants(self.policy.set(capability)) {
            return Decision::Refused(Layer::Policy);
        }
        Decision::Allowed
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
                let (mut commands, mut names) = (Vec::new(), Vec::new());
                for subject in subjects() {
                    match subject {
                        Subject::Path(_) => {}
                        Subject::Command(pattern) => commands.push(pattern.clone()),
                        Subject::Name(name) => names.push((name.head(), name.clone())),
                        Subject::Flag => set.flag = true,
                    }
                }
                set.paths = PathSet::of(subjects().filter_map(|subject| match subject {
                    Subject::Path(glob) => Some(glob),
                    Subject::Command(_) | Subject::Name(_) | Subject::Flag => None,
                }));
                Set {
                    commands: Commands::of(&commands),
                    names: Index::of(names),
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
