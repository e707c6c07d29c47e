//! What has to have room in the sandbox around the whole process, systemd's, for what a policy grants.
//!
//! Where systemd has no word for a grant, more has to have room than is granted, never less. The NixOS module derives
//! units by the same rules (`nixos/grants.nix`, `nixos/hardening.nix`), and is held against these.

use std::collections::BTreeMap;

use crate::capability::Capability;
use crate::escape::visible;
use crate::grants::{Grant, Subject};
use crate::policy::Policy;

/// What units hide unless a policy grants something of it.
const HIDDEN: &[&str] = &["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// What a policy needs of the sandbox around the process, its base and its rules taken together: the sandbox is one for
/// all bundles.
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each thing that has room or has none"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outer {
    /// Folders beneath which may be written, in the order of the policy.
    pub writable: Vec<String>,
    /// Of what units hide otherwise, what is read or written: homes, and folders of temporary files.
    pub seen: Vec<&'static str>,
    /// Programs are started, which have to be confined first.
    pub programs: bool,
    /// Programs are started as other accounts, which takes root.
    pub accounts: bool,
    /// Packages are changed, which takes root.
    pub packages: bool,
    /// Accounts are changed, which takes root.
    pub users: bool,
    /// Others than the master are connected to.
    pub network: bool,
    /// By verb, the units that are started, stopped, restarted and reloaded.
    pub units: BTreeMap<&'static str, Vec<String>>,
    /// Units are defined, enabled or disabled, about which systemd asks for no unit in particular.
    pub unit_files: bool,
}

impl Outer {
    /// What a policy needs.
    pub fn of(policy: &Policy) -> Self {
        let mut outer = Self::default();
        for grant in policy.all_grants() {
            outer.take(grant);
        }
        outer
    }

    fn take(&mut self, grant: &Grant) {
        match (grant.capability, &grant.subject) {
            (Capability::FilesRead, Subject::Path(glob)) => self.see(glob),
            (
                Capability::FilesWrite | Capability::FilesCreate | Capability::FilesDelete,
                Subject::Path(glob),
            ) => {
                self.see(glob);
                add(&mut self.writable, folder(glob));
            }
            (capability, _) => self.allow(capability, grant),
        }
    }

    fn see(&mut self, glob: &crate::Glob) {
        let start = glob.static_prefix();
        for place in HIDDEN {
            let meets = is_beneath(&start, place)
                || (glob.literal().is_none() && is_beneath(place, &start));
            if meets && !self.seen.contains(place) {
                self.seen.push(place);
            }
        }
    }

    fn allow(&mut self, capability: Capability, grant: &Grant) {
        match capability {
            Capability::ProcessRun | Capability::ProcessShell => self.programs = true,
            Capability::ProcessUnconfined => (self.programs, self.network) = (true, true),
            Capability::ProcessUser => self.accounts = true,
            Capability::ProcessNetwork | Capability::HttpSend => self.network = true,
            Capability::PackagesInstall
            | Capability::PackagesRemove
            | Capability::PackagesUpgrade
            | Capability::PackagesRefresh => (self.packages, self.network) = (true, true),
            Capability::UsersCreate | Capability::UsersModify | Capability::UsersRemove => {
                self.users = true;
            }
            Capability::ServicesStart
            | Capability::ServicesStop
            | Capability::ServicesRestart
            | Capability::ServicesReload => {
                let units = self.units.entry(capability.verb()).or_default();
                add(units, crate::whole_unit(&grant.text).into_owned());
            }
            Capability::ServicesEnable
            | Capability::ServicesDisable
            | Capability::ServicesDefine
            | Capability::ServicesDaemonReload => self.unit_files = true,
            _ => {}
        }
    }

    /// Whether the process has to be root's.
    pub fn root(&self) -> bool {
        self.accounts || self.converges()
    }

    /// Whether the machine itself is changed, by package managers and the tools of accounts.
    fn converges(&self) -> bool {
        self.packages || self.users
    }

    /// The capabilities of the kernel that root keeps; nobody else has any.
    pub fn capabilities(&self) -> Vec<&'static str> {
        let mut kept = Vec::new();
        if self.converges() {
            kept.extend(["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"]);
            kept.extend(["CAP_SETGID", "CAP_SETUID"]);
            if self.packages {
                kept.push("CAP_SETFCAP");
            }
            if self.users {
                kept.push("CAP_AUDIT_WRITE");
            }
        } else if self.accounts {
            kept.extend(["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL"]);
            kept.extend(["CAP_SETGID", "CAP_SETUID"]);
        }
        kept
    }

    /// The families of addresses that sockets may have.
    pub fn families(&self) -> Vec<&'static str> {
        let mut families = vec!["AF_UNIX", "AF_INET", "AF_INET6"];
        if self.programs && self.network {
            families.push("AF_NETLINK");
        }
        families
    }

    /// The folders beneath which the process can write, all of the machine for package managers and the tools of
    /// accounts.
    pub fn read_write_paths(&self) -> Vec<String> {
        if self.converges() {
            vec!["/".to_owned()]
        } else {
            self.writable.clone()
        }
    }

    /// What the sandbox allows, a sentence each, safe to show on a terminal.
    pub fn sentences(&self) -> Vec<String> {
        let words = |list: &[&str]| list.join(" ");
        let paths = self.read_write_paths();
        let mut said = vec![match paths.as_slice() {
            [] => "writes beneath no folder but its own".to_owned(),
            paths => {
                let paths: Vec<_> = paths.iter().map(|path| visible(path)).collect();
                format!(
                    "writes beneath {}, whatever the patterns say",
                    paths.join(" ")
                )
            }
        }];
        if !self.seen.is_empty() {
            said.push(format!("sees {}, which units hide", self.seen.join(" ")));
        }
        said.push(if self.network {
            "connects to anybody".to_owned()
        } else {
            "connects to the master, if that has an address, and to this machine".to_owned()
        });
        said.push(format!("has sockets of {}", words(&self.families())));
        said.push(if self.root() {
            format!("is root's, with {}", words(&self.capabilities()))
        } else {
            "is an account's without capabilities".to_owned()
        });
        said.push(if self.programs {
            "makes the calls that confine programs: mounts, namespaces, Landlock, seccomp"
                .to_owned()
        } else {
            "starts nothing that has to be confined".to_owned()
        });
        for (verb, units) in &self.units {
            let units: Vec<_> = units.iter().map(|unit| visible(unit)).collect();
            said.push(format!(
                "may {verb} {}, which polkit is asked for",
                units.join(" ")
            ));
        }
        if self.unit_files {
            said.push(
                "may change every unit's file and what starts with the machine, or none: polkit is not told which"
                    .to_owned(),
            );
        }
        said
    }

    /// What this needs and a sandbox made for `other` has no room for, in words that are safe to show on a terminal.
    pub fn beyond(&self, other: &Self) -> Vec<String> {
        let mut missing = Vec::new();
        for path in self.read_write_paths() {
            let has_room = |folder: &String| is_beneath(&path, folder);
            if !other.read_write_paths().iter().any(has_room) {
                missing.push(format!("writing beneath {}", visible(&path)));
            }
        }
        for place in self.seen.iter().filter(|place| !other.seen.contains(place)) {
            missing.push(format!("seeing {place}"));
        }
        for (needs, has, what) in [
            (self.programs, other.programs, "starting programs"),
            (self.accounts, other.accounts, "programs as other accounts"),
            (self.packages, other.packages, "changing packages"),
            (self.users, other.users, "changing accounts"),
            (
                self.network,
                other.network,
                "connections to others than the master",
            ),
            (self.unit_files, other.unit_files, "changing units' files"),
        ] {
            if needs && !has {
                missing.push(what.to_owned());
            }
        }
        for (verb, units) in &self.units {
            let has = other.units.get(verb);
            for unit in units {
                if !has.is_some_and(|has| has.contains(unit)) {
                    missing.push(format!("{verb} of {}", visible(unit)));
                }
            }
        }
        missing
    }
}

/// Whether a path is a folder or lies beneath it.
fn is_beneath(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn add(list: &mut Vec<String>, entry: String) {
    if !list.contains(&entry) {
        list.push(entry);
    }
}

/// The folder in which everything stands that a path glob can mean: that of its part without wildcards. Of a path without
/// any it is the folder it stands in, because what is replaced is its name there.
fn folder(glob: &crate::Glob) -> String {
    let prefix = glob.static_prefix();
    if glob.literal().is_none() {
        return prefix;
    }
    match prefix.rsplit_once('/') {
        None | Some(("", _)) => "/".to_owned(),
        Some((folder, _)) => folder.to_owned(),
    }
}
