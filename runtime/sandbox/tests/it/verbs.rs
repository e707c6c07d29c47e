//! What every function of `wit/` must stand: refused by default with nothing changed, let through by
//! its grant, let through by the very lines its refusals name, without effect in check mode, and
//! without a change when it is asked a second time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sloth_policy::{Effect, FUNCTIONS, Policy};
use sloth_sandbox::ports::audit::Kind;

use crate::trail::Kept;
use crate::world::World;

/// One function, and how it is tried.
pub(crate) struct Verb {
    /// As `wit/` names it, `write`.
    pub(crate) function: &'static str,
    /// The Lua that calls it, as the body of a task; `{}` stands for the world's folder.
    pub(crate) body: &'static str,
    /// The lines of a policy that let it pass; `{}` stands for the world's folder.
    pub(crate) grants: &'static str,
    pub(crate) again: Again,
}

/// What a second, equal call is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// It finds everything as asked and changes nothing.
    Settled,
    /// An act of its own each time: a program that runs, a request that is sent.
    Acts,
}

/// Tries every function of an interface that needs a grant; none may be left out. `world` makes a
/// machine to try one on, and `state` tells all that a call may change on it.
pub(crate) fn stand(
    interface: &str,
    verbs: &[Verb],
    world: impl Fn() -> World,
    state: impl Fn(&World) -> String,
) {
    let tried: Vec<&str> = verbs.iter().map(|verb| verb.function).collect();
    assert_covers(interface, &tried);
    for verb in verbs {
        let trial = Trial {
            call: format!("{interface}.{}", verb.function),
            mutates: mutates(interface, verb.function),
            verb,
            world: &world,
            state: &state,
        };
        trial.is_refused_by_default();
        trial.passes_with_its_grant_once();
        trial.passes_with_what_its_refusals_name();
        trial.changes_nothing_in_check_mode();
        trial.changes_nothing_that_cannot_be_put_on_record();
    }
}

struct Trial<'a> {
    call: String,
    mutates: bool,
    verb: &'a Verb,
    world: &'a dyn Fn() -> World,
    state: &'a dyn Fn(&World) -> String,
}

impl Trial<'_> {
    fn is_refused_by_default(&self) {
        let world = (self.world)();
        let before = (self.state)(&world);
        let ran = world.run(self.verb.body);
        assert!(
            ran.ended().starts_with("denied: "),
            "{} by default: {}",
            self.call,
            ran.ended()
        );
        assert_eq!((self.state)(&world), before, "{} by default", self.call);
        assert!(
            ran.changes().is_empty(),
            "{} by default told of a change",
            self.call
        );
    }

    fn passes_with_its_grant_once(&self) {
        let mut world = (self.world)();
        self.grant(&mut world);
        let kept = Arc::new(Kept::default());
        world.witness.audit = Some(kept.clone());
        let ran = world.run(self.verb.body);
        self.leaves_its_record(&kept);
        assert!(
            ran.finished.outcome.succeeded(),
            "{} granted: {}",
            self.call,
            ran.ended()
        );
        assert_eq!(
            !ran.changes().is_empty(),
            self.mutates,
            "changes told of by {}",
            self.call
        );
        if self.verb.again == Again::Acts {
            return;
        }
        let settled = (self.state)(&world);
        let ran = world.run(self.verb.body);
        assert!(
            ran.finished.outcome.succeeded() && ran.changes().is_empty(),
            "{} a second time: {}, {:?}",
            self.call,
            ran.ended(),
            ran.changes()
        );
        assert_eq!((self.state)(&world), settled, "{} a second time", self.call);
    }

    /// Each refusal names a line; with all lines so found, and no other, the call passes.
    fn passes_with_what_its_refusals_name(&self) {
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for _ in 0..8 {
            let mut world = (self.world)();
            let folder = world.path("");
            world
                .policy
                .push_str(&policy(&lines).replace("{}", &folder));
            Policy::parse(&world.policy, "policy.toml").unwrap();
            let ran = world.run(self.verb.body);
            if ran.finished.outcome.succeeded() {
                assert!(!lines.is_empty(), "{} needs no grant", self.call);
                return;
            }
            assert!(
                !ran.denials().is_empty(),
                "{} with {lines:?}: {}",
                self.call,
                ran.ended()
            );
            for denial in ran.denials() {
                let remedy = denial.remedy.as_deref();
                let remedy = remedy.unwrap_or_else(|| panic!("no remedy: {}", denial.message));
                // The next world has another folder.
                let (key, entry) = taken_apart(&remedy.replace(&folder, "{}"));
                let entries = lines.entry(key).or_default();
                assert!(!entries.contains(&entry), "{remedy} does not help");
                entries.push(entry);
            }
        }
        panic!("{} is refused still: {lines:?}", self.call);
    }

    fn changes_nothing_in_check_mode(&self) {
        let mut world = (self.world)();
        self.grant(&mut world);
        world.check = true;
        world.diff = true;
        let before = (self.state)(&world);
        let ran = world.run(self.verb.body);
        assert!(
            ran.finished.outcome.succeeded(),
            "{} checked: {}",
            self.call,
            ran.ended()
        );
        assert_eq!((self.state)(&world), before, "{} checked", self.call);
        assert_eq!(
            !ran.changes().is_empty(),
            self.mutates,
            "changes foretold by {}",
            self.call
        );
    }

    /// Whoever acts before the intent is on record, or without one, is found here.
    fn changes_nothing_that_cannot_be_put_on_record(&self) {
        if !self.mutates {
            return;
        }
        let mut world = (self.world)();
        self.grant(&mut world);
        let kept = Arc::new(Kept::default());
        kept.full.store(true, Ordering::Relaxed);
        world.witness.audit = Some(kept.clone());
        let before = (self.state)(&world);
        let ran = world.run(self.verb.body);
        assert_eq!(
            (self.state)(&world),
            before,
            "{} changed something without an intent on record",
            self.call
        );
        assert!(
            ran.changes().is_empty() && kept.refused.load(Ordering::Relaxed) > 0,
            "{} without an audit: {}, {:?}",
            self.call,
            ran.ended(),
            ran.changes()
        );
    }

    /// An intent before and a result after: exactly one of each for a change.
    fn leaves_its_record(&self, kept: &Kept) {
        let records = kept.records.lock().unwrap();
        let of = |kind| records.iter().filter(move |record| record.kind == kind);
        let intents = of(Kind::Intent).count();
        assert_eq!(intents > 0, self.mutates, "intents of {}", self.call);
        let results: Vec<_> = of(Kind::Result).map(|record| record.outcome).collect();
        assert_eq!(
            results,
            vec![Some("ok"); intents],
            "results of {}",
            self.call
        );
        assert!(
            self.mutates || of(Kind::Call).count() > 0,
            "{} leaves no record",
            self.call
        );
    }

    fn grant(&self, world: &mut World) {
        let lines = self.verb.grants.replace("{}", &world.path(""));
        world.policy.push_str(&lines);
    }
}

/// Fails unless the calls are those of all functions of an interface that need a grant.
pub(crate) fn assert_covers(interface: &str, functions: &[&str]) {
    let mut wanted: Vec<&str> = FUNCTIONS
        .iter()
        .filter(|function| function.interface == interface && !function.capabilities.is_empty())
        .map(|function| function.name)
        .collect();
    let mut covered = functions.to_vec();
    wanted.sort_unstable();
    covered.sort_unstable();
    covered.dedup();
    assert_eq!(covered, wanted, "functions of {interface} that are tried");
}

fn mutates(interface: &str, name: &str) -> bool {
    FUNCTIONS.iter().any(|function| {
        (function.interface, function.name) == (interface, name)
            && function.effect == Effect::Mutates
    })
}

/// `[files] write = ["/x"]` as the key `files.write` and the entry `"/x"`; a flag's entry is `true`, and
/// `[secrets] env = { "a" = ["/x"] }` the entry `"/x"` of the key `secrets.env."a"`.
fn taken_apart(remedy: &str) -> (String, String) {
    let (noun, rest) = remedy.strip_prefix('[').unwrap().split_once("] ").unwrap();
    let (verb, value) = rest.split_once(" = ").unwrap();
    let bound = value.strip_prefix("{ ").and_then(|v| v.strip_suffix(" }"));
    let bound = bound.map(|bound| bound.split_once(" = ").unwrap());
    let name = bound.map_or(String::new(), |(name, _)| format!(".{name}"));
    let value = bound.map_or(value, |(_, value)| value);
    let entry = value
        .strip_prefix('[')
        .and_then(|entries| entries.strip_suffix(']'));
    (
        format!("{noun}.{verb}{name}"),
        entry.unwrap_or(value).to_owned(),
    )
}

/// The policy of lines that were taken apart.
fn policy(lines: &BTreeMap<String, Vec<String>>) -> String {
    let mut text = String::new();
    for (key, entries) in lines {
        let listed = entries.join(", ");
        if entries.iter().any(|entry| entry == "true") {
            writeln!(text, "{key} = true").unwrap();
        } else {
            writeln!(text, "{key} = [{listed}]").unwrap();
        }
    }
    text
}
