//! What else systemd starts, enables and stops when it is asked for one unit, and whether the runner's own unit is stopped
//! by that.

use std::collections::BTreeSet;

use sloth_policy::{Capability, Layer, ends_the_system};
use zbus::OwnedObjectPath;

use super::name;
use super::plan::Verb;
use super::systemd::{Systemd, Trouble, Unit};
use super::view::ServicesView;
use crate::host::error::Result;
use crate::place::observe;

/// By which a unit starts others: at once, when something happens, and when it has ended.
const STARTS: &[&str] = &[
    "Requires",
    "BindsTo",
    "Wants",
    "Upholds",
    "Triggers",
    "OnSuccess",
    "OnFailure",
];
/// By which the end of a unit ends others.
const STOPS: &[&str] = &["RequiredBy", "BoundBy", "ConsistsOf", "PropagatesStopTo"];
/// Most units that are looked at before one is started, enabled or stopped.
const MOST: usize = 512;
/// Longest file of a unit that is read, in bytes.
const LONGEST: u64 = 1 << 20;

impl ServicesView<'_> {
    /// Refuses what stops the runner's own unit by way of others, unless the policy spells its name.
    pub(super) async fn protect_by_reach(
        &mut self,
        systemd: &Systemd,
        verb: Verb,
        unit: &Unit,
    ) -> Result<()> {
        let capability = verb.capability();
        if let Verb::Stop | Verb::Restart = verb
            && let Some(other) = self.stopped_with(systemd, capability, unit).await?
        {
            let how = format!("{other}, which the runner is in, ends with it");
            return Err(self.not_by_pattern(capability, unit, &how));
        }
        if let Verb::Start | Verb::Restart = verb {
            let first = vec![(unit.id.clone(), unit.path.clone())];
            self.protect_from_conflict(systemd, capability, unit, first)
                .await?;
        }
        Ok(())
    }

    /// As [`protect_by_reach`](Self::protect_by_reach), of what is to start from now on, with what is enabled with it.
    pub(super) async fn protect_enabled(&mut self, systemd: &Systemd, unit: &Unit) -> Result<()> {
        let mut first = vec![(unit.id.clone(), unit.path.clone())];
        let mut seen = BTreeSet::from([unit.id.clone()]);
        let mut ahead = first.clone();
        while let Some((name, path)) = ahead.pop() {
            for other in self.also(systemd, &name, &path).await? {
                // A template has nothing to start, and what is no unit is not enabled.
                if seen.len() >= MOST || name::is_template(&other) || !seen.insert(other.clone()) {
                    continue;
                }
                if let Ok(path) = self.within(systemd.path(&other)).await? {
                    ahead.push((other.clone(), path.clone()));
                    first.push((other, path));
                }
            }
        }
        self.protect_from_conflict(systemd, Capability::ServicesEnable, unit, first)
            .await
    }

    async fn protect_from_conflict(
        &mut self,
        systemd: &Systemd,
        capability: Capability,
        unit: &Unit,
        first: Vec<(String, OwnedObjectPath)>,
    ) -> Result<()> {
        let found = self.within(conflicting(systemd, unit, first)).await?;
        let found = found.map_err(|trouble| trouble.told(self.gate, capability, &unit.id))?;
        let Some(other) = found else { return Ok(()) };
        let with = if other == unit.id {
            String::new()
        } else {
            format!(" with {other}, which it starts or enables,")
        };
        let how =
            format!("it conflicts{with} with the unit that the runner is in and would stop it");
        Err(self.not_by_pattern(capability, unit, &how))
    }

    fn not_by_pattern(
        &mut self,
        capability: Capability,
        unit: &Unit,
        how: &str,
    ) -> crate::host::Error {
        let mut denial = (self.gate.grants()).denial(capability, &unit.id, Layer::Policy);
        denial.message = format!(
            "{}; {how}, so it must be named without a pattern",
            denial.message
        );
        self.gate.refuse(&denial)
    }

    /// One of the units that the runner is in, if it ends when `unit` does.
    async fn stopped_with(
        &mut self,
        systemd: &Systemd,
        capability: Capability,
        unit: &Unit,
    ) -> Result<Option<String>> {
        let own = self.within(systemd.own()).await?;
        let first = vec![(unit.id.clone(), unit.path.clone())];
        let found = self
            .within(reached(systemd, first, STOPS, &|name| {
                own.iter().any(|own| own == name)
            }))
            .await?;
        let found = found.map_err(|trouble| trouble.told(self.gate, capability, &unit.id))?;
        Ok(found.unwrap_or_else(|| own.first().cloned()))
    }

    /// The units that enabling one enables with it, as its file and what is added to that say.
    async fn also(
        &mut self,
        systemd: &Systemd,
        name: &str,
        path: &OwnedObjectPath,
    ) -> Result<Vec<String>> {
        let files = systemd.files(path);
        let mut found = Vec::new();
        for file in self.within(files).await? {
            let read = self.tree.root().resolve(&file, true);
            let text = read
                .ok()
                .and_then(|place| observe::read(&place, LONGEST).ok().flatten());
            let text = text.unwrap_or_default();
            found.extend(enabled_with(name, &String::from_utf8_lossy(&text)));
        }
        Ok(found)
    }
}

/// A unit that conflicts with the runner's own, among some and all that these start. Units that end the system are left
/// out, because every service conflicts with those.
async fn conflicting(
    systemd: &Systemd,
    unit: &Unit,
    first: Vec<(String, OwnedObjectPath)>,
) -> std::result::Result<Option<String>, Trouble> {
    let Some(own) = systemd.own_path().await else {
        return Ok(None);
    };
    let mut against = systemd.related(&own, &["Conflicts", "ConflictedBy"]).await;
    against.retain(|name| !ends_the_system(name));
    if against.is_empty() {
        return Ok(None);
    }
    let conflicts = |name: &str| against.iter().any(|other| other == name);
    let found = reached(systemd, first, STARTS, &conflicts).await?;
    Ok(found.unwrap_or_else(|| Some(unit.id.clone())))
}

/// The first unit that is looked for, among some and all that some of their properties lead to; no answer where there
/// are more than can be looked at, which may hold anything.
async fn reached(
    systemd: &Systemd,
    first: Vec<(String, OwnedObjectPath)>,
    by: &[&str],
    wanted: &(dyn Fn(&str) -> bool + Sync),
) -> std::result::Result<Option<Option<String>>, Trouble> {
    let mut seen: BTreeSet<String> = first.iter().map(|(name, _)| name.clone()).collect();
    let mut ahead = first;
    while let Some((name, path)) = ahead.pop() {
        if wanted(&name) {
            return Ok(Some(Some(name)));
        }
        for name in systemd.related(&path, by).await {
            if seen.len() < MOST && seen.insert(name.clone()) {
                let path = systemd.path(&name).await?;
                ahead.push((name, path));
            }
        }
    }
    Ok((seen.len() < MOST).then_some(None))
}

/// What the `Also=` lines of a unit's file name.
fn enabled_with(name: &str, text: &str) -> Vec<String> {
    let (stem, _) = name.rsplit_once('.').unwrap_or((name, ""));
    let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
    let mut found = Vec::new();
    let mut installs = false;
    // Comments are none of it, however they end (systemd.syntax); else a line that ends with a backslash goes on.
    let is_said = |line: &&str| !line.trim_start().starts_with(['#', ';']);
    let said: Vec<&str> = text.lines().filter(is_said).collect();
    for line in said.join("\n").replace("\\\n", " ").lines().map(str::trim) {
        if line.starts_with('[') {
            installs = line == "[Install]";
            continue;
        }
        let Some((key, words)) = line.split_once('=').filter(|_| installs) else {
            continue;
        };
        if key.trim_end() != "Also" {
            continue;
        }
        found.extend(words.split_whitespace().map(|word| {
            word.replace("%i", instance)
                .replace("%p", prefix)
                .replace("%N", stem)
                .replace("%n", name)
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_enabled_with_a_unit_stands_in_the_section_for_that() {
        let text = "[Unit]\nAlso=no.service\n# Also=nor.service\n[Install]\nWantedBy=multi-user.target\n\
                    Also = one.socket \\\n two@%i.timer\n# and \\\nAlso=%p.path\n[Service]\nAlso=never.service\n";
        assert_eq!(
            enabled_with("web@7.service", text),
            ["one.socket", "two@7.timer", "web.path"]
        );
    }
}
