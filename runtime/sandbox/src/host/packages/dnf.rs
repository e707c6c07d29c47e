//! Fedora's packages and those of its kin: dnf acts, rpm tells.

use super::lock;
use super::manager::{Applied, Locked, Told, ended};
use super::plan::{Act, Known, Task, unknown};
use crate::bindings::sloth::host::packages::Details;
use crate::host::error::Result;
use crate::host::process::{Said, Tool, Tools};
use crate::place::observe::{self, Observed};

const INSTALLED: &str = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\t%{SUMMARY}\\n";

/// Questions are answered before they are asked. Waiting for a lock is done here, where it can be told of.
const HOW: &[&str] = &["-y", "--setopt=exit_on_lock=True", "--color=never"];

pub(super) async fn query(tools: &Tools<'_>, names: &[String]) -> Result<Told<Vec<Known>>> {
    let mut all = installed(tools, names).await?;
    let mut words = vec!["repoquery", "--latest-limit=1", "--qf"];
    words.extend(["%{name}\t%{evr}\t%{summary}\n", "--"]);
    words.extend(names.iter().map(String::as_str));
    let said = match ask(tools, &words).await? {
        Ok(said) if said.code != 0 => return Err(said.failure("look at packages", Tool::Dnf)),
        Ok(said) => said,
        Err(locked) => return Ok(Err(locked)),
    };
    let listed = rows(&said.stdout);
    for one in &mut all {
        if let Some(found) = listed.iter().find(|found| found.name == one.name) {
            one.candidate.clone_from(&found.version);
            one.summary.clone_from(&found.summary);
        }
    }
    Ok(Ok(all))
}

/// Asks dnf, which also takes its lock to tell something when its lists are old.
async fn ask(tools: &Tools<'_>, words: &[&str]) -> Result<Told<Said>> {
    let mut arguments = vec!["-q"];
    arguments.extend(HOW);
    arguments.extend(words);
    let said = tools.run(Tool::Dnf, &arguments, None).await?;
    Ok(match lock::holder(&said).filter(|_| said.code != 0) {
        Some(holder) => Err(Locked(holder)),
        None => Ok(said),
    })
}

/// What rpm knows of these, in their order.
async fn installed(tools: &Tools<'_>, names: &[String]) -> Result<Vec<Known>> {
    let mut arguments = vec!["-q", "--qf", INSTALLED, "--"];
    arguments.extend(names.iter().map(String::as_str));
    // Its exit code counts those that are not installed.
    let said = tools.run(Tool::Rpm, &arguments, None).await?;
    let found = rows(&said.stdout);
    if said.code != 0 && found.is_empty() && !said.stdout.contains(" is not installed") {
        return Err(said.failure("look at packages", Tool::Rpm));
    }
    // rpm takes a name with version or architecture for a name too, so it is compared.
    let one = |name: &String| {
        let known = found.iter().find(|known| known.name == *name).cloned();
        known.unwrap_or_else(|| Known {
            name: name.clone(),
            ..Known::default()
        })
    };
    Ok(names.iter().map(one).collect())
}

pub(super) async fn list(tools: &Tools<'_>) -> Result<Vec<Known>> {
    let arguments = ["-qa", "--qf", INSTALLED];
    let said = tools
        .must("list packages", Tool::Rpm, &arguments, None)
        .await?;
    Ok(rows(&said.stdout))
}

pub(super) async fn search(tools: &Tools<'_>, text: &str) -> Result<Told<Vec<Known>>> {
    match ask(tools, &["search", "--", text]).await? {
        Ok(said) if said.code != 0 && !said.stderr.contains("No matches found") => {
            Err(said.failure("search for packages", Tool::Dnf))
        }
        told => Ok(told.map(|said| found(&said.stdout))),
    }
}

pub(super) async fn info(tools: &Tools<'_>, name: &str) -> Result<Told<Details>> {
    const FORMAT: &str = "%{name}\t%{evr}\t%{arch}\t%{url}\t%{summary}\t%{description}\x1e";
    let words = ["repoquery", "--latest-limit=1", "--qf", FORMAT, "--", name];
    match ask(tools, &words).await? {
        Ok(said) if said.code != 0 => Err(said.failure("look at a package", Tool::Dnf)),
        Ok(said) => details(&said.stdout, name)
            .map(Ok)
            .ok_or_else(|| unknown(name)),
        Err(locked) => Ok(Err(locked)),
    }
}

pub(super) async fn simulate(tools: &Tools<'_>, task: &Task) -> Result<Told<Vec<Act>>> {
    let words = words(task);
    let mut arguments = vec!["--assumeno"];
    // A second answer would outweigh the first.
    arguments.extend(HOW.iter().filter(|word| **word != "-y"));
    arguments.extend(words.iter().map(String::as_str));
    let said = tools.run(Tool::Dnf, &arguments, None).await?;
    if said.code != 0
        && let Some(holder) = lock::holder(&said)
    {
        return Ok(Err(Locked(holder)));
    }
    if let Some(name) = not_known(&said) {
        return Err(unknown(&name));
    }
    let mut acts = acts(&said.stdout);
    let aborted =
        said.stdout.contains("Operation aborted") || said.stderr.contains("Operation aborted");
    if said.code != 0 && !aborted {
        return Err(said.failure(&task.doing(), Tool::Dnf));
    }
    // Its table tells what comes and not what was.
    let names: Vec<String> = acts.iter().map(|act| act.name.clone()).collect();
    if !names.is_empty() {
        for (act, known) in acts.iter_mut().zip(installed(tools, &names).await?) {
            act.before = known.version.or(act.before.take());
        }
    }
    Ok(Ok(acts))
}

pub(super) async fn apply(tools: &Tools<'_>, task: &Task, acts: &[Act]) -> Result<Applied> {
    // Everything that goes is named, so that nothing goes that was not foreseen.
    let task = match task {
        Task::Remove { purge, .. } => Task::Remove {
            names: acts.iter().map(|act| act.name.clone()).collect(),
            purge: *purge,
        },
        other => other.clone(),
    };
    let words = words(&task);
    let mut arguments = HOW.to_vec();
    arguments.extend(words.iter().map(String::as_str));
    let said = tools.run(Tool::Dnf, &arguments, None).await?;
    ended(&said, &task.doing(), Tool::Dnf)
}

pub(super) async fn refresh(tools: &Tools<'_>) -> Result<Applied> {
    let before = lists(tools);
    let mut arguments = HOW.to_vec();
    arguments.extend(["makecache", "--refresh"]);
    let said = tools.run(Tool::Dnf, &arguments, None).await?;
    let ended = ended(&said, "refresh the lists of packages", Tool::Dnf)?;
    Ok(match ended {
        Applied::Done { .. } => Applied::Done {
            changed: lists(tools) != before,
        },
        locked @ Applied::Locked(_) => locked,
    })
}

/// The names of the lists. They hold digests of what is in them.
fn lists(tools: &Tools<'_>) -> Vec<String> {
    let mut lists = Vec::new();
    for cache in ["/var/cache/dnf", "/var/cache/libdnf5"] {
        let mut open = vec![(cache.to_owned(), 0)];
        while let Some((path, depth)) = open.pop() {
            let Ok(place) = tools.root.resolve(&path, false) else {
                continue;
            };
            match observe::look(&place) {
                Ok(Observed::Directory(_)) if depth < 3 => {
                    let names = observe::names(&place).unwrap_or_default();
                    let beneath = names
                        .iter()
                        .map(|name| crate::place::name::join(&path, name));
                    open.extend(beneath.map(|path| (path, depth + 1)));
                }
                Ok(Observed::File(status)) if path.contains("/repodata/") => {
                    lists.push(format!("{path} {}", status.size));
                }
                _ => {}
            }
        }
    }
    lists.sort();
    lists
}

/// What dnf is asked, without how.
fn words(task: &Task) -> Vec<String> {
    let plain = |words: &[&str], names: Vec<String>| {
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain(names).collect()
    };
    match task {
        Task::Install(wanted) => {
            let name = |one: &super::plan::Wanted| match &one.version {
                Some(version) => format!("{}-{version}", one.name),
                None => one.name.clone(),
            };
            plain(&["install", "--"], wanted.iter().map(name).collect())
        }
        // rpm keeps changed settings beside the place where they were, whatever is asked.
        Task::Remove { names, .. } => plain(&["remove", "--noautoremove", "--"], names.clone()),
        Task::Upgrade(names) => plain(&["upgrade", "--"], names.clone()),
        Task::UpgradeAll => plain(&["upgrade"], Vec::new()),
    }
}

/// A version may be asked for without its epoch and without its release.
pub(super) fn same_version(installed: &str, asked: &str) -> bool {
    let plain = installed
        .split_once(':')
        .map_or(installed, |(_, rest)| rest);
    [installed, plain].into_iter().any(|version| {
        version == asked
            || version
                .rsplit_once('-')
                .is_some_and(|(version, _)| version == asked)
    })
}

/// Lines of name, version and summary.
fn rows(text: &str) -> Vec<Known> {
    let row = |line: &str| {
        let mut fields = line.split('\t');
        let (name, version) = (fields.next()?, fields.next()?);
        // Keys that were imported are kept as packages.
        if name == "gpg-pubkey" {
            return None;
        }
        Some(Known {
            name: name.to_owned(),
            version: Some(version.strip_prefix("0:").unwrap_or(version).to_owned()),
            summary: fields.next().unwrap_or_default().to_owned(),
            ..Known::default()
        })
    };
    text.lines().filter_map(row).collect()
}

/// The table of a transaction. A row that does not fit is broken into lines.
fn acts(text: &str) -> Vec<Act> {
    let mut acts: Vec<Act> = Vec::new();
    let mut removes = None;
    let mut row: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
            row.clear();
            removes = match heading.split(' ').next() {
                Some("Installing" | "Upgrading" | "Downgrading" | "Reinstalling") => Some(false),
                Some("Removing") => Some(true),
                _ => None,
            };
            continue;
        }
        let Some(removes) = removes else { continue };
        if line.trim().is_empty() || !line.starts_with(' ') {
            row.clear();
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "replacing" {
            // `replacing  name.arch version`; dnf 5 has a column each, and also tells of older versions.
            let name = words.get(1).copied().unwrap_or_default();
            let name = match words.len() {
                3 => name.rsplit_once('.').map_or(name, |(name, _)| name),
                _ => name,
            };
            if acts.iter().all(|act| act.name != name) {
                acts.push(Act {
                    name: name.to_owned(),
                    before: words
                        .get(if words.len() == 3 { 2 } else { 3 })
                        .map(|v| (*v).to_owned()),
                    after: None,
                });
            }
            continue;
        }
        row.extend(words);
        // Name, architecture, version, repository, and a size that may have a unit.
        if let [name, _, version, _, _, ..] = row[..] {
            let version = version.strip_prefix("0:").unwrap_or(version).to_owned();
            acts.push(Act {
                name: name.to_owned(),
                before: removes.then(|| version.clone()),
                after: (!removes).then_some(version),
            });
            row.clear();
        }
    }
    acts
}

/// `name.arch : summary` of a search.
fn found(text: &str) -> Vec<Known> {
    let one = |line: &str| {
        let (name, summary) = line.split_once(" : ").or_else(|| line.split_once(": "))?;
        let (name, _) = name.trim().rsplit_once('.')?;
        (!name.contains(' ')).then(|| Known {
            name: name.to_owned(),
            summary: summary.trim().to_owned(),
            ..Known::default()
        })
    };
    text.lines()
        .filter(|line| !line.starts_with('='))
        .filter_map(one)
        .collect()
}

fn details(text: &str, wanted: &str) -> Option<Details> {
    text.split('\x1e').find_map(|record| {
        let mut fields = record.trim_start().splitn(6, '\t');
        let mut next = || fields.next().map(str::to_owned);
        let (name, version) = (next()?, next()?);
        if name != wanted {
            return None;
        }
        let (architecture, homepage) = (next()?, next()?);
        Some(Details {
            name,
            version: version.strip_prefix("0:").unwrap_or(&version).to_owned(),
            architecture,
            homepage: Some(homepage)
                .filter(|url| url != "(none)")
                .unwrap_or_default(),
            summary: next().unwrap_or_default(),
            description: next().unwrap_or_default(),
        })
    })
}

/// The package that dnf complains it does not know.
fn not_known(said: &Said) -> Option<String> {
    said.stdout
        .lines()
        .chain(said.stderr.lines())
        .find_map(|line| {
            let name = line.strip_prefix("No match for argument: ")?;
            Some(name.trim().to_owned())
        })
}

#[cfg(test)]
#[path = "dnf_tests.rs"]
mod tests;
