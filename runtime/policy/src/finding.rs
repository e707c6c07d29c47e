//! Root in disguise: grants that amount to more than they say.

use std::fmt;

use crate::capability::Capability;
use crate::glob::Glob;
use crate::grants::{Grant, Grants, Subject};

/// A line of a policy that amounts to more than it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The policy's file, as it was named to the parser.
    pub file: String,
    /// Line of the entry, from 1.
    pub line: usize,
    /// The grant, such as `files.write /etc/**`. Not escaped for a terminal.
    pub grant: String,
    /// What it amounts to, as a phrase.
    pub amounts_to: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            grant,
            amounts_to,
        } = self;
        write!(formatter, "{file}:{line}: {grant} amounts to {amounts_to}")
    }
}

/// Places where writing is more than writing, and what they hold.
const PLACES: &[(&str, &str)] = &[
    ("/etc/passwd", "accounts"),
    ("/etc/shadow", "accounts"),
    ("/etc/group", "accounts"),
    ("/etc/pam.d", "accounts"),
    ("/etc/sudoers", "sudo rules"),
    ("/etc/sudoers.d", "sudo rules"),
    ("/etc/polkit-1/rules.d", "sudo rules"),
    ("/etc/systemd", "units"),
    ("/run/systemd/system", "units"),
    ("/lib/systemd/system", "units"),
    ("/usr/lib/systemd/system", "units"),
    ("/usr/local/lib/systemd/system", "units"),
    ("/etc/udev/rules.d", "units"),
    ("/etc/init.d", "units"),
    ("/etc/crontab", "cron jobs"),
    ("/etc/cron.d", "cron jobs"),
    ("/etc/cron.hourly", "cron jobs"),
    ("/etc/cron.daily", "cron jobs"),
    ("/etc/cron.weekly", "cron jobs"),
    ("/etc/cron.monthly", "cron jobs"),
    ("/etc/anacrontab", "cron jobs"),
    ("/var/spool/cron", "cron jobs"),
    ("/etc/profile", "login profiles"),
    ("/etc/profile.d", "login profiles"),
    ("/etc/bash.bashrc", "login profiles"),
    ("/etc/environment", "login profiles"),
    ("/etc/ssh", "SSH keys"),
    ("/etc/ld.so.preload", "the loader's settings"),
    ("/etc/ld.so.conf.d", "the loader's settings"),
    ("/etc/nixos", "the system's configuration"),
    ("/bin", "system programs"),
    ("/sbin", "system programs"),
    ("/lib", "system programs"),
    ("/usr/bin", "system programs"),
    ("/usr/sbin", "system programs"),
    ("/usr/lib", "system programs"),
    ("/usr/local/bin", "system programs"),
    ("/usr/local/sbin", "system programs"),
    ("/nix/store", "system programs"),
    ("/boot", "the kernel"),
    ("/dev", "devices"),
    ("/proc", "the kernel's settings"),
    ("/sys", "the kernel's settings"),
];

/// The same beneath each home folder.
const HOME_PLACES: &[(&str, &str)] = &[
    (".ssh", "SSH keys"),
    (".bashrc", "login profiles"),
    (".bash_profile", "login profiles"),
    (".profile", "login profiles"),
    (".zshrc", "login profiles"),
    (".config/systemd/user", "units"),
];

/// Variables that choose what a program loads.
const LOADING: &[&str] = &[
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "PATH",
    "BASH_ENV",
    "PYTHONPATH",
    "NODE_OPTIONS",
];

/// What a grant amounts to if that is the whole account.
pub(crate) fn account(grant: &Grant) -> Option<String> {
    match (&grant.subject, grant.capability) {
        (Subject::Flag, Capability::ProcessShell) => {
            Some("any command line: the whole account".to_owned())
        }
        (Subject::Flag, Capability::ProcessUnconfined) => {
            Some("children that no grant holds back: the whole account".to_owned())
        }
        (
            Subject::Path(glob),
            Capability::FilesWrite | Capability::FilesCreate | Capability::FilesDelete,
        ) if glob.covers_everything() => Some("every file: the whole account".to_owned()),
        (Subject::Command(pattern), _) => pattern.amounts_to(),
        _ => None,
    }
}

/// The findings of a source, in its order.
pub(crate) fn of(grants: &Grants) -> impl Iterator<Item = Finding> {
    grants.grants.iter().filter_map(|grant| {
        Some(Finding {
            file: grant.origin.file.to_string(),
            line: grant.origin.line,
            grant: grant.summary(),
            amounts_to: account(grant).or_else(|| disguise(grant))?,
        })
    })
}

fn disguise(grant: &Grant) -> Option<String> {
    match (&grant.subject, grant.capability) {
        (
            Subject::Path(glob),
            Capability::FilesWrite | Capability::FilesCreate | Capability::FilesDelete,
        ) => {
            let held = held_by(glob);
            let verb = grant.capability.verb();
            (!held.is_empty())
                .then(|| format!("a way to more rights: it may {verb} {}", held.join(", ")))
        }
        (Subject::Flag, Capability::ProcessUnixSockets) => {
            Some("a way out: D-Bus and container daemons do more than a step may".to_owned())
        }
        (Subject::Name(name), Capability::ProcessUser) if name.matches("root") => {
            Some("programs that run as root".to_owned())
        }
        (Subject::Name(_), Capability::ServicesDefine) => Some(
            "root: a service runs its programs as any account, outside of the task's sandbox"
                .to_owned(),
        ),
        (Subject::Name(name), Capability::ProcessEnv) => {
            let variable = LOADING.iter().find(|variable| name.matches(variable))?;
            Some(format!(
                "any code in every program it may run, through {variable}"
            ))
        }
        _ => None,
    }
}

/// What the places a glob reaches hold, each once.
fn held_by(glob: &Glob) -> Vec<&'static str> {
    // A home is asked about under the name the glob itself gives, if it gives one.
    let home = format!("/home/{}", glob.component(1).unwrap_or("user"));
    let homes = [home.as_str(), "/root"];
    let beneath_homes = homes.iter().flat_map(|home| {
        HOME_PLACES
            .iter()
            .filter(move |(place, _)| glob.may_match_beneath(&format!("{home}/{place}")))
    });
    let mut held = Vec::new();
    for (_, what) in PLACES
        .iter()
        .filter(|(place, _)| glob.may_match_beneath(place))
        .chain(beneath_homes)
    {
        if !held.contains(what) {
            held.push(*what);
        }
    }
    held
}
