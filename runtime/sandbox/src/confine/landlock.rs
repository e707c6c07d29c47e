//! The lists of a confinement as Landlock rules. What no rule allows is refused.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ::landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
    make_bitflags,
};

use rustix::fs::FileType;

use super::spec::{Confinement, Network};
use crate::descent::open_place;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
const EXECUTE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{Execute | ReadFile | ReadDir});
/// Devices are missing: nobody here makes any.
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    WriteFile | Truncate | MakeReg | MakeDir | MakeSym | MakeFifo | MakeSock | Refer
});
const DELETE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{RemoveFile | RemoveDir | Refer});

/// The rights over files as of ABI 3, which are required. Later ones are taken where the kernel knows them.
const NEEDED: ABI = ABI::V3;

/// The rules that are to hold, with the places they are about.
pub(super) struct Rules(RulesetCreated);

/// Looks up the places of a confinement. Nothing is restricted yet.
pub(super) fn prepare(confinement: &Confinement) -> Result<Rules, String> {
    make_rules(confinement)
        .map(Rules)
        .map_err(|error| failed(&error))
}

/// Restricts this process and everything it starts, for good.
pub(super) fn restrict(rules: Rules) -> Result<(), String> {
    let status = rules.0.restrict_self().map_err(|error| failed(&error))?;
    if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
        return Err("restrict it with Landlock: the kernel enforces nothing".to_owned());
    }
    Ok(())
}

fn failed(error: &RulesetError) -> String {
    format!("restrict it with Landlock: {}", explain(error))
}

fn make_rules(confinement: &Confinement) -> Result<RulesetCreated, RulesetError> {
    // Connecting to a socket's file is a right since ABI 9; whoever has Unix sockets has it everywhere.
    let files = if confinement.unix_sockets {
        ABI::V5
    } else {
        ABI::V9
    };
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))?
        .set_compatibility(CompatLevel::BestEffort)
        // Controlling devices (ABI 5) is granted nowhere.
        .handle_access(AccessFs::from_all(files))?
        .scope(Scope::from_all(ABI::V6))?;
    if confinement.network != Network::All {
        // Without any ports, seccomp leaves no socket to hold to them.
        let need = if confinement.network.is_held_to_ports() {
            CompatLevel::HardRequirement
        } else {
            CompatLevel::BestEffort
        };
        rules = rules
            .set_compatibility(need)
            .handle_access(AccessNet::from_all(ABI::V4))?
            .set_compatibility(CompatLevel::BestEffort);
    }
    let lists = [
        (&confinement.read, READ),
        (&confinement.execute, EXECUTE),
        (&confinement.write, WRITE),
        (&confinement.delete, DELETE),
    ];
    let mut rules = rules.create()?;
    if let Network::Ports {
        connect, listen, ..
    } = &confinement.network
    {
        for (ports, right) in [
            (connect, AccessNet::ConnectTcp),
            (listen, AccessNet::BindTcp),
        ] {
            rules = rules.add_rules(
                ports
                    .iter()
                    .map(|port| Ok::<_, RulesetError>(NetPort::new(*port, right))),
            )?;
        }
    }
    for (paths, rights) in lists {
        for path in paths {
            // What does not exist, or is a link by now, grants nothing.
            if let Some(place) = open(path) {
                let rights = if is_folder(&place) {
                    rights
                } else {
                    rights & AccessFs::from_file(NEEDED)
                };
                // Removing is a right over folders alone: no rule can say it of one file.
                if !rights.is_empty() {
                    rules = rules.add_rule(PathBeneath::new(place, rights))?;
                }
            }
        }
    }
    Ok(rules)
}

fn is_folder(place: &OwnedFd) -> bool {
    rustix::fs::fstat(place)
        .is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::Directory)
}

/// `/proc/self` is the entry of this process, which stays the same when it becomes the program.
fn open(path: &Path) -> Option<OwnedFd> {
    if path == Path::new("/proc/self") {
        let own: PathBuf = fs::read_link(path).ok()?;
        return open_place(&Path::new("/proc").join(own)).ok();
    }
    open_place(path).ok()
}

fn explain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", explain(source)),
        None => error.to_string(),
    }
}
