//! Why a program may have failed: the kernel's refusals are short, and say nothing of grants. Pure: a hint is made
//! from what the program itself said and from its bounds, never from a look at the node, so that it tells nobody
//! anything about a place that is not granted.

use sloth_policy::{Capability, Decision, Effective, Layer};

use crate::confine::{Confinement, Network, SYSTEM_READ_EXECUTE};
use crate::place::name::{absolute, is_beneath};

/// How much of a program's words is looked at, from the end.
const LOOKED_AT: usize = 16 << 10;

/// What a program was held to.
#[derive(Debug)]
pub(super) struct Bounds {
    workdir: String,
    read: Vec<String>,
    write: Vec<String>,
    delete: Vec<String>,
    network: Network,
    read_only: bool,
}

/// What the kernel says when it refuses, and whether that is only ever said of writing.
const REFUSALS: [(&str, bool); 3] = [
    ("Read-only file system", true),
    ("Permission denied", false),
    ("Operation not permitted", false),
];

/// What is said by who cannot find another machine.
const NAMELESS: [&str; 4] = [
    "resolve host",
    "name resolution",
    "Name or service not known",
    "resolve hostname",
];

impl Bounds {
    /// None for a program that is not held to any.
    pub(super) fn of(confinement: &Confinement, read_only: bool) -> Option<Self> {
        let texts = |paths: &[std::path::PathBuf]| {
            let texts = paths.iter().map(|path| path.to_string_lossy().into_owned());
            texts.collect()
        };
        (!confinement.unconfined).then(|| Self {
            workdir: confinement.workdir.to_string_lossy().into_owned(),
            read: texts(&confinement.read),
            write: texts(&confinement.write),
            delete: texts(&confinement.delete),
            network: confinement.network.clone(),
            read_only,
        })
    }

    /// One line about what a failed program may have lacked, if its last words point to something.
    pub(super) fn hint(&self, stderr: &[u8], grants: &Effective) -> Option<String> {
        let start = stderr.len().saturating_sub(LOOKED_AT);
        let said = String::from_utf8_lossy(&stderr[start..]);
        // The last words are nearest to the end.
        said.lines().rev().find_map(|line| {
            self.about_network(line)
                .or_else(|| self.about_files(line, grants))
        })
    }

    fn about_network(&self, line: &str) -> Option<String> {
        let nameless = NAMELESS.iter().any(|words| line.contains(words));
        let lower = line.to_lowercase();
        let refused = REFUSALS[1..].iter().any(|(words, _)| line.contains(words));
        match &self.network {
            Network::All => None,
            Network::None => (nameless || refused && lower.contains("socket")).then(|| {
                "programs of this task have no network; [process] network = [\"tcp:443\", \"udp\"] gives that port and \
                 the looking up of names"
                    .to_owned()
            }),
            Network::Ports {
                datagrams: false, ..
            } if nameless => Some(
                "looking up names takes datagrams; [process] network = [\"udp\"] gives them".to_owned(),
            ),
            Network::Ports { .. } => (refused && lower.contains("connect")).then(|| {
                "programs of this task connect to the ports of [process] network only".to_owned()
            }),
        }
    }

    fn about_files(&self, line: &str, grants: &Effective) -> Option<String> {
        let (at, writing) = REFUSALS
            .iter()
            .find_map(|(words, writing)| Some((line.find(words)?, *writing)))?;
        // `Permission denied (publickey)` is another machine's.
        if line[at..].contains(" (") {
            return None;
        }
        let named = named(&line[..at]);
        let paths = named
            .iter()
            .filter_map(|name| absolute(name, &self.workdir).ok());
        let lacking = |path: String| Some((self.lacks(&path, writing)?, path));
        // Nobody is told to let a task write the system's programs.
        let harmless = |(capability, path): &(Capability, String)| {
            *capability == Capability::FilesRead
                || !SYSTEM_READ_EXECUTE
                    .iter()
                    .any(|tree| is_beneath(path, tree))
        };
        let found = paths.into_iter().filter_map(lacking).find(harmless);
        // What names nothing is about where it stands, if about anything that a grant changes.
        let (capability, path, folder) = match found {
            Some((capability, path)) => (capability, path, false),
            None if named.is_empty() && !holds(&self.write, &self.workdir) => {
                (Capability::FilesWrite, self.workdir.clone(), true)
            }
            None => return None,
        };
        if self.read_only && capability != Capability::FilesRead {
            return Some(
                "it is said to change nothing (check = true), and so may write to its scratch folder only".to_owned(),
            );
        }
        told(capability, &path, folder, grants)
    }

    /// What a program has no right to of a path.
    fn lacks(&self, path: &str, writing: bool) -> Option<Capability> {
        let checks = [
            (Capability::FilesRead, &self.read),
            (Capability::FilesWrite, &self.write),
            (Capability::FilesDelete, &self.delete),
        ];
        let first = usize::from(writing);
        let lacking = checks[first..]
            .iter()
            .find(|(_, places)| !holds(places, path));
        lacking.map(|(capability, _)| *capability)
    }
}

/// The paths that stand in a program's complaint, the nearest to its end first: what is quoted, and what has folders.
/// Its own name, which it begins with, is none of them.
fn named(complaint: &str) -> Vec<String> {
    let complaint = match complaint.split_once(": ") {
        Some((own, rest)) if !own.contains(' ') && !rest.is_empty() => rest,
        _ => complaint,
    };
    let mut named: Vec<(usize, &str)> = Vec::new();
    let quotes = [('\'', '\''), ('"', '"'), ('`', '\''), ('‘', '’')];
    for (open, close) in quotes {
        let mut at = 0;
        while let Some(begin) = complaint[at..]
            .find(open)
            .map(|found| at + found + open.len_utf8())
            && let Some(length) = complaint[begin..].find(close)
        {
            named.push((begin, &complaint[begin..begin + length]));
            at = begin + length + close.len_utf8();
        }
    }
    let around = |character: char| "'\"`‘’:;,()[]".contains(character);
    let mut at = 0;
    for word in complaint.split_inclusive(char::is_whitespace) {
        let bare = word.trim().trim_matches(around);
        // An address is no path.
        if bare.contains('/') && !bare.contains("//") {
            named.push((at, bare));
        }
        at += word.len();
    }
    named.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let named = named.into_iter().map(|(_, name)| name.to_owned());
    named
        .filter(|name| !name.is_empty() && !name.contains('@'))
        .collect()
}

fn holds(places: &[String], path: &str) -> bool {
    let beneath = |place: &String| is_beneath(path, place.trim_end_matches('/'));
    places.iter().any(beneath)
}

fn told(capability: Capability, path: &str, folder: bool, grants: &Effective) -> Option<String> {
    let verb = match capability {
        Capability::FilesRead => "read",
        Capability::FilesDelete => "remove or replace",
        _ => "write",
    };
    let line = |path: &str, all: bool| match grants.path(capability, path) {
        // Nothing that a line could change.
        Decision::Refused(Layer::Deny | Layer::SelfProtection) => None,
        Decision::Refused(layer @ Layer::Declaration) => {
            grants.denial(capability, path, layer).remedy
        }
        _ => {
            let remedy = grants.denial(capability, path, Layer::Policy).remedy?;
            let all = all.then(|| remedy.replacen("\"]", "/**\"]", 1));
            Some(all.unwrap_or(remedy))
        }
    };
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    let shown = sloth_policy::escape::visible(path);
    // The kernel knows no grant of a file that is not there.
    let whole = (!above.is_empty()).then(|| line(above, true)).flatten();
    let ways = match (folder, line(path, folder)?, whole) {
        (false, exact, Some(whole)) if capability != Capability::FilesRead => {
            format!("{exact}, or {whole} where it is to be made or replaced")
        }
        (_, exact, _) => exact,
    };
    Some(format!(
        "programs of this task may not {verb} {shown}; what would let them: {ways}"
    ))
}

#[cfg(test)]
#[path = "hint_tests.rs"]
mod tests;
