//! The program's side of the fork: narrow this process step by step, and replace it.

use std::ffi::{CString, NulError};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{
    AccessFlags, Gid, Uid, access, chdir, execve, geteuid, setgid, setgroups, setsid, setuid,
};

use super::seccomp::Metadata;
use super::spec::{Account, Confinement, Report};
use super::{capabilities, helper, kernel, landlock, mounts, seccomp};

/// Becomes the program; comes back only if that fails.
pub(super) fn become_program(
    confinement: &Confinement,
    stdin: Option<OwnedFd>,
    has_namespaces: bool,
) -> Report {
    let arguments = match Arguments::prepare(confinement) {
        Ok(arguments) => arguments,
        Err(error) => return Report::Failed(format!("prepare its arguments: {error}")),
    };
    if let Err(text) = narrow(confinement, stdin, has_namespaces) {
        return Report::Failed(text);
    }
    let Err(error) = execve(&arguments.program, &arguments.argv, &arguments.env);
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "there are over a hundred others"
    )]
    match error {
        Errno::ENOENT => Report::NotFound,
        Errno::E2BIG => Report::Failed("its arguments and environment are too long".to_owned()),
        Errno::ENOMEM | Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE => {
            Report::Failed(format!("replace the process: {}", error.desc()))
        }
        _ => Report::NotExecutable(error.desc().to_owned()),
    }
}

/// What execve takes, made before anything is forbidden.
struct Arguments {
    program: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Arguments {
    fn prepare(confinement: &Confinement) -> Result<Self, NulError> {
        let text = |text: &String| CString::new(text.as_str());
        Ok(Self {
            program: CString::new(confinement.program.as_os_str().as_bytes())?,
            argv: confinement
                .argv
                .iter()
                .map(text)
                .collect::<Result<_, _>>()?,
            env: confinement
                .env
                .iter()
                .map(|(name, value)| CString::new(format!("{name}={value}")))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// The order matters: each step takes away something that an earlier one needs.
fn narrow(
    confinement: &Confinement,
    stdin: Option<OwnedFd>,
    has_namespaces: bool,
) -> Result<(), String> {
    // A session of its own keeps signals to the program's group away from the supervisor.
    setsid().map_err(|error| format!("begin a session: {error}"))?;
    kernel::forget_signal_handlers();
    SigSet::empty()
        .thread_set_mask()
        .map_err(|error| format!("unblock signals: {error}"))?;
    limit(confinement).map_err(|error| format!("set resource limits: {error}"))?;

    let protection = if has_namespaces {
        mounts::protect(confinement)?
    } else {
        mounts::Protection::None
    };
    match stdin {
        Some(stdin) => rustix::stdio::dup2_stdin(stdin).map_err(std::io::Error::from),
        // Opened again among the new mounts: through the old one, root could change the device's mode.
        None => helper::silence(true, false),
    }
    .map_err(|error| format!("give it a standard input: {error}"))?;

    if !confinement.unconfined {
        capabilities::bound().map_err(|error| format!("bound capabilities: {error}"))?;
    }
    // Places are looked up while that is still allowed: what leads to them may be closed to another account, whose own
    // rights over what lies there are asked all the same.
    let rules = if confinement.unconfined {
        None
    } else {
        Some(landlock::prepare(confinement)?)
    };
    let own = confinement
        .scratch
        .as_ref()
        .is_some_and(|scratch| confinement.workdir.starts_with(scratch));
    if own {
        enter(&confinement.workdir)?;
    }
    if let Some(account) = &confinement.user {
        take_on(account).map_err(|error| {
            format!(
                "become user {} with group {}: {error}",
                account.uid, account.gid
            )
        })?;
    }
    umask(Mode::from_bits_truncate(0o022));
    if own {
        may_stand_here(&confinement.workdir)?;
    } else {
        enter(&confinement.workdir)?;
    }
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| format!("give up new privileges: {error}"))?;
    if let Some(rules) = rules {
        landlock::restrict(rules)?;
        capabilities::reduce().map_err(|error| format!("give up capabilities: {error}"))?;
        let metadata = match protection {
            mounts::Protection::ReadOnly => Metadata::LeftToMounts,
            mounts::Protection::None if geteuid().is_root() => Metadata::Refused,
            mounts::Protection::None => Metadata::OfOpenFiles,
        };
        seccomp::restrict(confinement, metadata)?;
    }
    Ok(())
}

fn limit(confinement: &Confinement) -> nix::Result<()> {
    let limits = [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, confinement.open_files),
        (Resource::RLIMIT_CPU, confinement.cpu_seconds),
    ];
    for (resource, asked) in limits {
        // Only root may exceed what the agent itself is limited to.
        let (_, most) = getrlimit(resource)?;
        let value = asked.min(most);
        setrlimit(resource, value, value)?;
    }
    Ok(())
}

fn take_on(account: &Account) -> nix::Result<()> {
    let groups: Vec<Gid> = account.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)?;
    setgid(Gid::from_raw(account.gid))?;
    setuid(Uid::from_raw(account.uid))
}

/// Asks of the folder that was entered what its own mode says to this account.
fn may_stand_here(workdir: &Path) -> Result<(), String> {
    access(".", AccessFlags::X_OK)
        .map_err(|error| format!("enter the folder {}: {}", workdir.display(), error.desc()))
}

fn enter(workdir: &Path) -> Result<(), String> {
    chdir(workdir)
        .map_err(|error| format!("enter the folder {}: {}", workdir.display(), error.desc()))
}
