//! Root in disguise: grants that amount to more than they say.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::capability::Capability;
use crate::glob::Glob;
use crate::grants::{Grant, Grants, Subject};
use crate::interpreter::{INTERPRETERS, unversioned};
use crate::network::{Names, Network};
use crate::port::Port;
use crate::powers::{LOADING, ROOT_GROUPS, ends_the_system, is_root_group};
use crate::sink::Sink;

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
    ("/etc/gshadow", "accounts"),
    ("/etc/nsswitch.conf", "accounts"),
    ("/etc/pam.d", "accounts"),
    ("/etc/security", "accounts"),
    ("/etc/sudoers", "sudo rules"),
    ("/etc/sudoers.d", "sudo rules"),
    ("/etc/doas.conf", "sudo rules"),
    ("/etc/polkit-1", "sudo rules"),
    ("/usr/share/polkit-1", "sudo rules"),
    ("/etc/systemd", "units"),
    ("/run/systemd/system", "units"),
    ("/lib/systemd/system", "units"),
    ("/usr/lib/systemd/system", "units"),
    ("/usr/local/lib/systemd/system", "units"),
    ("/etc/udev/rules.d", "units"),
    ("/etc/init.d", "units"),
    ("/etc/rc.local", "units"),
    ("/etc/dbus-1", "units"),
    ("/usr/share/dbus-1", "units"),
    ("/etc/xinetd.d", "units"),
    ("/etc/crontab", "cron jobs"),
    ("/etc/cron.d", "cron jobs"),
    ("/etc/cron.hourly", "cron jobs"),
    ("/etc/cron.daily", "cron jobs"),
    ("/etc/cron.weekly", "cron jobs"),
    ("/etc/cron.monthly", "cron jobs"),
    ("/etc/anacrontab", "cron jobs"),
    ("/var/spool/cron", "cron jobs"),
    ("/var/spool/at", "cron jobs"),
    ("/etc/logrotate.d", "cron jobs"),
    ("/etc/apt", "hooks of the package manager"),
    ("/etc/dpkg", "hooks of the package manager"),
    ("/etc/dnf", "hooks of the package manager"),
    ("/etc/yum.repos.d", "hooks of the package manager"),
    ("/var/lib/dpkg", "hooks of the package manager"),
    ("/etc/kernel", "hooks of the package manager"),
    ("/etc/NetworkManager/dispatcher.d", "hooks of the network"),
    ("/etc/network", "hooks of the network"),
    ("/etc/profile", "login profiles"),
    ("/etc/profile.d", "login profiles"),
    ("/etc/bash.bashrc", "login profiles"),
    ("/etc/environment", "login profiles"),
    ("/etc/zsh", "login profiles"),
    ("/etc/update-motd.d", "login profiles"),
    ("/etc/ssh", "SSH keys"),
    ("/etc/ld.so.preload", "the loader's settings"),
    ("/etc/ld.so.conf", "the loader's settings"),
    ("/etc/ld.so.conf.d", "the loader's settings"),
    ("/etc/ld.so.cache", "the loader's settings"),
    ("/etc/nixos", "the system's configuration"),
    ("/bin", "system programs"),
    ("/sbin", "system programs"),
    ("/lib", "system programs"),
    ("/usr/bin", "system programs"),
    ("/usr/sbin", "system programs"),
    ("/usr/lib", "system programs"),
    ("/lib64", "system programs"),
    ("/usr/lib64", "system programs"),
    ("/usr/libexec", "system programs"),
    ("/usr/local/lib", "system programs"),
    ("/etc/alternatives", "system programs"),
    ("/usr/local/bin", "system programs"),
    ("/usr/local/sbin", "system programs"),
    ("/nix/store", "system programs"),
    ("/boot", "the kernel"),
    ("/etc/modprobe.d", "the kernel"),
    ("/etc/modules-load.d", "the kernel"),
    ("/etc/sysctl.conf", "the kernel's settings"),
    ("/etc/sysctl.d", "the kernel's settings"),
    ("/etc/docker", "containers"),
    ("/var/lib/docker", "containers"),
    ("/run/docker.sock", "containers"),
    ("/dev", "devices"),
    ("/proc", "the kernel's settings"),
    ("/sys", "the kernel's settings"),
];

/// The same beneath each home folder.
const HOME_PLACES: &[(&str, &str)] = &[
    (".ssh", "SSH keys"),
    (".bashrc", "login profiles"),
    (".bash_profile", "login profiles"),
    (".bash_login", "login profiles"),
    (".zshenv", "login profiles"),
    (".zprofile", "login profiles"),
    (".config/fish", "login profiles"),
    (".config/autostart", "login profiles"),
    (".profile", "login profiles"),
    (".zshrc", "login profiles"),
    (".config/systemd/user", "units"),
    (".local/bin", "programs of an account"),
];

/// Addresses at which the node's surroundings answer it alone.
const INNER: &[(IpAddr, &str)] = &[
    (IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), METADATA),
    (IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), METADATA),
    (IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), METADATA),
    (
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
        METADATA,
    ),
];
const METADATA: &str = "the cloud's metadata service, which hands out the node's own credentials";

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
        (Subject::Name(_), Capability::SecretsReveal) => {
            Some("the secret itself in the workflow's hands, and all that it opens".to_owned())
        }
        (Subject::Bound(_, _, Sink::Program(glob)), _) => printer(glob),
        _ => None,
    }
}

/// What a secret in these programs' environment amounts to, if one of them does what it is told.
fn printer(glob: &Glob) -> Option<String> {
    let revealed = |by: &str| {
        Some(format!(
            "revealing it: {by} does with it what the workflow says"
        ))
    };
    if glob.covers_everything() {
        return revealed("some program");
    }
    let literal = glob.literal()?;
    let name = unversioned(literal.rsplit('/').next().unwrap_or_default());
    if INTERPRETERS.contains(&name) || name == "printenv" {
        return revealed(&format!("`{name}`"));
    }
    None
}

/// What a secret in these programs' environment amounts to where the workflow chooses their arguments.
fn copier(grant: &Grant, grants: &Grants) -> Option<String> {
    let Subject::Bound(_, _, Sink::Program(programs)) = &grant.subject else {
        return None;
    };
    let run = grants.grants.iter().find(|other| {
        matches!(&other.subject, Subject::Command(pattern)
            if pattern.leaves_arguments() && pattern.may_run(programs))
    })?;
    Some(format!(
        "revealing it, if the program reads files: `{}` leaves arguments to the workflow, and \
         /proc/self/environ is a file",
        run.summary()
    ))
}

/// The findings of a source, in its order.
pub(crate) fn of(grants: &Grants) -> impl Iterator<Item = Finding> {
    grants.grants.iter().filter_map(|grant| {
        let amounts_to = account(grant)
            .or_else(|| disguise(grant))
            .or_else(|| copier(grant, grants))?;
        Some(Finding {
            file: grant.origin.file.to_string(),
            line: grant.origin.line,
            grant: grant.summary(),
            amounts_to,
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
        (Subject::Bound(_, _, Sink::Server(pattern)), _) if pattern.in_the_clear() => {
            Some("telling it to everybody on the way: http is not encrypted".to_owned())
        }
        (Subject::Flag, Capability::ProcessUnixSockets) => {
            Some("a way out: D-Bus and container daemons do more than a step may".to_owned())
        }
        // Who answers at a port is not held against anything.
        (Subject::Flag | Subject::Port(Port::Connect(80)), Capability::ProcessNetwork) => {
            Some(format!("a way to {METADATA}, where there is one"))
        }
        (Subject::Port(Port::Datagrams), _) => {
            Some("datagrams to anybody: the kernel holds TCP alone to ports".to_owned())
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
        (Subject::Url(pattern), Capability::HttpSend) if pattern.is_any_host() => {
            Some("a way out to anybody, for all that a step may read".to_owned())
        }
        (Subject::Network(network), Capability::HttpAddresses) => inner(network),
        (Subject::Name(_), Capability::PackagesInstall) => {
            Some("programs that run as root: a package brings scripts of its own".to_owned())
        }
        (Subject::Name(name), Capability::UsersGroups) => {
            let group = ROOT_GROUPS.iter().find(|group| name.matches(group))?;
            Some(format!("root's rights, through the group {group}"))
        }
        (Subject::Name(name), Capability::UsersCreate)
            if name.literal().is_some_and(|name| is_root_group(&name)) =>
        {
            Some("root's rights, for whoever is in a group of that name".to_owned())
        }
        (
            Subject::Name(name),
            Capability::ServicesStart | Capability::ServicesRestart | Capability::ServicesEnable,
        ) if name.literal().is_some_and(|name| ends_the_system(&name)) => {
            Some("an end of the system, and of all that runs on it".to_owned())
        }
        (Subject::Name(name), Capability::UsersModify) if name.literal().is_none() => {
            Some("the passwords and shells of whole families of accounts".to_owned())
        }
        (Subject::Name(name), Capability::UsersModify) if name.matches("root") => {
            Some("root's rights, through its password".to_owned())
        }
        (Subject::Name(_), Capability::UsersIds) => Some(
            "the files of whoever had that number: they follow the number, not the name".to_owned(),
        ),
        _ => None,
    }
}

/// What is at addresses that only the node itself reaches, or a name that anybody may point there.
fn inner(network: &Network) -> Option<String> {
    if network.names().is_some_and(Names::is_any) {
        return Some("any address, since whoever owns a name says where it leads".to_owned());
    }
    let block = network.block()?;
    let held = INNER.iter().filter(|(address, _)| block.holds(*address));
    let mut held: Vec<&str> = held.map(|(_, what)| *what).collect();
    held.dedup();
    (!held.is_empty()).then(|| format!("a way to {}", held.join(" and ")))
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
