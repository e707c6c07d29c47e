//! Debian's packages: apt-get acts, dpkg-query and apt-cache tell.

use super::manager::{Applied, ended};
use super::names::escaped;
use super::plan::{Act, Known, Task, Wanted, unknown};
use crate::bindings::sloth::host::packages::Details;
use crate::host::error::Result;
use crate::host::process::{Tool, Tools};
use crate::place::observe;

const FORMAT: &str =
    "${Package}\\t${db:Status-Abbrev}\\t${Version}\\t${Architecture}\\t${binary:Summary}\\n";

/// Where apt keeps its lists.
const LISTS: &str = "/var/lib/apt/lists";

/// Questions are answered before they are asked, settings that were changed by hand stay, and names are names
/// even where nothing is called so. Waiting for a lock is done here, where it can be told of.
const HOW: &[&str] = &[
    "-y",
    "-q",
    "-o",
    "APT::Cmd::Pattern-Only=true",
    "-o",
    "Dpkg::Use-Pty=0",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    "-o",
    "DPkg::Lock::Timeout=0",
];

pub(super) async fn query(tools: &Tools<'_>, names: &[String]) -> Result<Vec<Known>> {
    let mut arguments = vec!["-W", "-f", FORMAT, "--"];
    arguments.extend(names.iter().map(String::as_str));
    // It fails as soon as one of them is not known, and tells of the others.
    let installed = tools.run(Tool::DpkgQuery, &arguments, None).await?;
    if installed.code > 1 {
        return Err(installed.failure("look at packages", Tool::DpkgQuery));
    }
    let mut arguments = vec!["policy", "--"];
    arguments.extend(names.iter().map(String::as_str));
    let listed = tools
        .must("look at packages", Tool::AptCache, &arguments, None)
        .await?;
    let installed = rows(&installed.stdout);
    let candidates = candidates(&listed.stdout);
    Ok(names
        .iter()
        .map(|name| {
            let mut known = of(name, &installed);
            let found = candidates.iter().find(|(known, _)| known == name);
            known.candidate = found.map(|(_, version)| version.clone());
            known
        })
        .collect())
}

pub(super) async fn list(tools: &Tools<'_>) -> Result<Vec<Known>> {
    let arguments = ["-W", "-f", FORMAT];
    let said = tools
        .must("list packages", Tool::DpkgQuery, &arguments, None)
        .await?;
    let mut all: Vec<Known> = rows(&said.stdout)
        .into_iter()
        .map(|row| row.known)
        .collect();
    all.retain(|one| one.version.is_some());
    Ok(all)
}

pub(super) async fn search(tools: &Tools<'_>, text: &str) -> Result<Vec<Known>> {
    let pattern = escaped(text);
    let arguments = ["search", "--", &pattern];
    let said = tools
        .must("search for packages", Tool::AptCache, &arguments, None)
        .await?;
    Ok(found(&said.stdout))
}

pub(super) async fn info(tools: &Tools<'_>, name: &str) -> Result<Details> {
    let arguments = ["show", "--no-all-versions", "--", name];
    let said = tools.run(Tool::AptCache, &arguments, None).await?;
    details(&said.stdout).ok_or_else(|| unknown(name))
}

pub(super) async fn simulate(tools: &Tools<'_>, task: &Task) -> Result<Vec<Act>> {
    let words = words(task);
    let mut arguments = vec!["-s"];
    arguments.extend(HOW);
    arguments.extend(words.iter().map(String::as_str));
    let said = tools.run(Tool::AptGet, &arguments, None).await?;
    if said.code != 0 {
        if let Some(name) = not_known(&said.stderr) {
            return Err(unknown(name));
        }
        return Err(said.failure(&task.doing(), Tool::AptGet));
    }
    Ok(acts(&said.stdout))
}

pub(super) async fn apply(tools: &Tools<'_>, task: &Task, acts: &[Act]) -> Result<Applied> {
    let words = words(task);
    let mut arguments = HOW.to_vec();
    // What was not foreseen is not done.
    if !matches!(task, Task::Remove { .. }) && !acts.iter().any(Act::removes) {
        arguments.push("--no-remove");
    }
    arguments.extend(words.iter().map(String::as_str));
    let said = tools.run(Tool::AptGet, &arguments, None).await?;
    ended(&said, &task.doing(), Tool::AptGet)
}

pub(super) async fn refresh(tools: &Tools<'_>) -> Result<Applied> {
    let before = lists(tools);
    let mut arguments = vec!["update", "-o", "APT::Update::Error-Mode=any"];
    arguments.extend(HOW);
    let said = tools.run(Tool::AptGet, &arguments, None).await?;
    let ended = ended(&said, "refresh the lists of packages", Tool::AptGet)?;
    Ok(match ended {
        Applied::Done { .. } => Applied::Done {
            changed: fetched(&said.stdout) || lists(tools) != before,
        },
        locked @ Applied::Locked(_) => locked,
    })
}

/// The lists with size and time: apt says of one on the same machine that it gets it each time.
fn lists(tools: &Tools<'_>) -> Vec<(String, u64, i64)> {
    let Ok(folder) = tools.root.resolve(LISTS, true) else {
        return Vec::new();
    };
    let mut lists = Vec::new();
    for name in observe::names(&folder).unwrap_or_default() {
        let path = crate::place::name::join(&folder.path, &name);
        let Ok(place) = tools.root.resolve(&path, true) else {
            continue;
        };
        if let Ok(observe::Observed::File(status)) = observe::look(&place)
            && name != "lock"
        {
            lists.push((name, status.size, status.modified));
        }
    }
    lists.sort();
    lists
}

/// What apt-get is asked, without how.
fn words(task: &Task) -> Vec<String> {
    let plain = |words: &[&str], names: &[String]| {
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain(names.iter().cloned()).collect()
    };
    match task {
        Task::Install(wanted) => {
            let mut words = vec!["install".to_owned()];
            // Who names a version wants that one, also if it is older.
            if wanted.iter().any(|one| one.version.is_some()) {
                words.push("--allow-downgrades".to_owned());
            }
            words.push("--".to_owned());
            words.extend(wanted.iter().map(exactly));
            words
        }
        Task::Remove {
            names,
            purge: false,
        } => plain(&["remove", "--"], names),
        Task::Remove { names, purge: true } => plain(&["purge", "--"], names),
        Task::Upgrade(names) => plain(&["install", "--only-upgrade", "--"], names),
        Task::UpgradeAll => plain(&["upgrade", "--with-new-pkgs"], &[]),
    }
}

fn exactly(wanted: &Wanted) -> String {
    match &wanted.version {
        Some(version) => format!("{}={version}", wanted.name),
        None => wanted.name.clone(),
    }
}

struct Row {
    known: Known,
    architecture: String,
}

/// The lines of dpkg-query.
fn rows(text: &str) -> Vec<Row> {
    let row = |line: &str| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().map(str::to_owned);
        let (name, status, version, architecture) = (next()?, next()?, next()?, next()?);
        let summary = next().unwrap_or_default();
        let mut letters = status.chars();
        let (wish, state) = (letters.next()?, letters.next()?);
        // Installed, or only its triggers are still to be run.
        let installed = matches!(state, 'i' | 'W' | 't');
        Some(Row {
            known: Known {
                name,
                version: installed.then_some(version),
                candidate: None,
                held: wish == 'h',
                summary,
                leftovers: state == 'c',
            },
            architecture,
        })
    };
    text.lines().filter_map(row).collect()
}

/// The package of that name, with or without an architecture.
fn of(name: &str, rows: &[Row]) -> Known {
    let (plain, architecture) = match name.split_once(':') {
        Some((plain, architecture)) => (plain, Some(architecture)),
        None => (name, None),
    };
    let mut fitting = rows.iter().filter(|row| {
        row.known.name == plain && architecture.is_none_or(|wanted| row.architecture == wanted)
    });
    let mut known = fitting.next().map(|row| row.known.clone());
    // Of several architectures, one that is installed.
    if let Some(installed) = fitting.find(|row| row.known.version.is_some())
        && known.as_ref().is_some_and(|known| known.version.is_none())
    {
        known = Some(installed.known.clone());
    }
    Known {
        name: name.to_owned(),
        ..known.unwrap_or_default()
    }
}

/// `apt-cache policy`: names, and the version that would be installed.
fn candidates(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut name = None;
    for line in text.lines() {
        if !line.starts_with(' ') {
            name = line.strip_suffix(':');
        } else if let Some(version) = line.trim_start().strip_prefix("Candidate: ")
            && version != "(none)"
            && let Some(name) = name
        {
            found.push((name.to_owned(), version.to_owned()));
        }
    }
    found
}

/// `Inst name [old] (new suite [arch])`, `Remv name [old]`, `Purg name [old]` of a simulation.
fn acts(text: &str) -> Vec<Act> {
    let act = |line: &str| {
        let (verb, rest) = line.split_once(' ')?;
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let before = rest
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .map(|(version, _)| version.to_owned());
        let after = match verb {
            "Inst" => {
                let (_, rest) = rest.split_once('(')?;
                Some(rest.split([' ', ')']).next()?.to_owned())
            }
            "Remv" | "Purg" => None,
            _ => return None,
        };
        let name = name.to_owned();
        Some(Act {
            name,
            before,
            after,
        })
    };
    text.lines().filter_map(act).collect()
}

/// `name - summary` of a search.
fn found(text: &str) -> Vec<Known> {
    let one = |line: &str| {
        let (name, summary) = line.split_once(" - ")?;
        Some(Known {
            name: name.to_owned(),
            summary: summary.to_owned(),
            ..Known::default()
        })
    };
    text.lines().filter_map(one).collect()
}

/// The first paragraph of `apt-cache show`.
fn details(text: &str) -> Option<Details> {
    let paragraph = text.split("\n\n").next()?;
    let field = |name: &str| {
        let value = paragraph
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(|value| value.trim().to_owned())
    };
    let mut description = Vec::new();
    let mut inside = false;
    for line in paragraph.lines() {
        match line.strip_prefix(' ') {
            Some(".") if inside => description.push(""),
            Some(more) if inside => description.push(more),
            _ => inside = line.starts_with("Description:") || line.starts_with("Description-en:"),
        }
    }
    Some(Details {
        name: field("Package")?,
        version: field("Version")?,
        architecture: field("Architecture").unwrap_or_default(),
        homepage: field("Homepage").unwrap_or_default(),
        summary: field("Description")
            .or_else(|| field("Description-en"))
            .unwrap_or_default(),
        description: description.join("\n"),
    })
}

/// Whether anything came over the network.
fn fetched(text: &str) -> bool {
    text.lines()
        .any(|line| line.starts_with("Get:") && !line.contains(" file:"))
}

/// The package that apt-get complains it does not know.
fn not_known(stderr: &str) -> Option<&str> {
    stderr.lines().find_map(|line| {
        let rest = line.strip_prefix("E: ")?;
        if let Some(name) = rest.strip_prefix("Unable to locate package ") {
            return Some(name.trim());
        }
        let (name, _) = rest
            .strip_prefix("Package '")?
            .split_once("' has no installation candidate")?;
        Some(name)
    })
}

#[cfg(test)]
#[path = "apt_tests.rs"]
mod tests;
