//! What a program may touch: the step's own grants, as lists of places for the kernel to hold it to.
//!
//! The kernel's rules are for whole trees and can only allow. A grant for a whole tree is one rule;
//! any other pattern stands for what it matches now; a tree with something denied beneath is taken
//! apart around it. What cannot be said that way is refused rather than widened.

use sloth_policy::{Capability, Effective, Glob, static_prefix};

use crate::confine::{
    SYSTEM_DEVICES, SYSTEM_NETWORK_READ, SYSTEM_READ, SYSTEM_READ_EXECUTE, SYSTEM_WRITE,
};
use crate::host::error::{Error, Result};
use crate::place::name::join;
use crate::place::{Observed, Root, observe};

/// Most places one spawn may name.
const MAX_PLACES: usize = 1024;
/// Most entries looked at to find them.
const MAX_LOOKS: usize = 20_000;

/// Places by what may be done there. Absolute and free of links.
#[derive(Debug, Default)]
pub(super) struct Reach {
    pub(super) read: Vec<String>,
    pub(super) execute: Vec<String>,
    pub(super) write: Vec<String>,
    pub(super) delete: Vec<String>,
}

/// Works out the reach of a program under these grants, with its scratch folder.
pub(super) fn of(
    grants: &Effective,
    root: &Root,
    scratch: Option<&str>,
    network: bool,
) -> Result<Reach> {
    let granted = |capability| {
        Lister {
            grants,
            root,
            capability,
            places: Vec::new(),
            looks: 0,
        }
        .list()
    };
    let mut reach = Reach {
        read: granted(Capability::FilesRead)?,
        execute: Vec::new(),
        write: granted(Capability::FilesWrite)?,
        delete: granted(Capability::FilesDelete)?,
    };
    // The kernel tells no replaced file from a removed one, so whoever may write a tree may also
    // replace what is in it; `delete` alone adds removing without writing.
    reach.delete.extend(reach.write.iter().cloned());
    // What may be written is also looked at by every program that writes it, but its content is
    // read only where reading is granted: the lists stay apart.
    let system = |paths: &[&str]| -> Vec<String> {
        paths
            .iter()
            .filter_map(|path| root.resolve(path, true).ok().map(|place| place.path))
            .collect()
    };
    reach.execute = system(SYSTEM_READ_EXECUTE);
    reach.read.extend(system(SYSTEM_READ_EXECUTE));
    // An entry of /proc for the program itself: the helper resolves it, here it would be ours.
    reach.read.extend(system(&without_self(SYSTEM_READ)));
    reach.read.push("/proc/self".into());
    reach.read.extend(system(SYSTEM_DEVICES));
    reach.write.extend(system(SYSTEM_WRITE));
    if network {
        reach.read.extend(system(SYSTEM_NETWORK_READ));
    }
    if let Some(scratch) = scratch {
        for list in [&mut reach.read, &mut reach.write, &mut reach.delete] {
            list.push(scratch.to_owned());
        }
    }
    for list in [
        &mut reach.read,
        &mut reach.execute,
        &mut reach.write,
        &mut reach.delete,
    ] {
        list.sort_unstable();
        list.dedup();
    }
    Ok(reach)
}

fn without_self(paths: &[&'static str]) -> Vec<&'static str> {
    paths
        .iter()
        .copied()
        .filter(|path| *path != "/proc/self")
        .collect()
}

struct Lister<'a> {
    grants: &'a Effective,
    root: &'a Root,
    capability: Capability,
    places: Vec<String>,
    looks: usize,
}

impl Lister<'_> {
    fn list(mut self) -> Result<Vec<String>> {
        for tree in self.grants.trees(self.capability) {
            self.tree(&tree)?;
        }
        for pattern in self.grants.patterns(self.capability) {
            if let Ok(glob) = Glob::parse(&pattern) {
                let start = static_prefix(&pattern);
                self.matching(&glob, start)?;
            }
        }
        Ok(self.places)
    }

    /// A granted tree: one rule, or taken apart around what is denied beneath.
    fn tree(&mut self, path: &str) -> Result<()> {
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            self.look()?;
            if !self.denies_beneath(&path) {
                self.add(&path)?;
                continue;
            }
            let Ok(place) = self.root.resolve(&path, false) else {
                continue;
            };
            if let Ok(Observed::Directory(_)) = observe::look(&place) {
                let names = observe::names(&place).unwrap_or_default();
                open.extend(names.iter().map(|name| join(&path, name)));
            } else {
                self.add(&path)?;
            }
        }
        Ok(())
    }

    /// Whether the deny lines, or what is the node's own, may reach beneath. Entries of processes
    /// come and go, and this process's own is among them.
    fn denies_beneath(&self, path: &str) -> bool {
        self.grants.denies_beneath(self.capability, path)
    }

    /// What a pattern matches now.
    fn matching(&mut self, glob: &Glob, start: String) -> Result<()> {
        let mut open = vec![start];
        while let Some(path) = open.pop() {
            self.look()?;
            if glob.matches(&path) {
                self.add(&path)?;
            }
            let Ok(place) = self.root.resolve(&path, false) else {
                continue;
            };
            if let Ok(Observed::Directory(_)) = observe::look(&place) {
                let names = observe::names(&place).unwrap_or_default();
                open.extend(names.iter().map(|name| join(&path, name)));
            }
        }
        Ok(())
    }

    /// Adds a place if every layer grants it, as named and where it leads.
    fn add(&mut self, path: &str) -> Result<()> {
        let Ok(place) = self.root.resolve(path, true) else {
            return Ok(());
        };
        let granted = |path: &str| self.grants.path(self.capability, path).is_allowed();
        let follow = self.capability == Capability::FilesRead
            && self
                .grants
                .path(Capability::FilesFollow, &place.path)
                .is_allowed();
        if !granted(path) || !(granted(&place.path) || follow) {
            return Ok(());
        }
        if place.path != path && self.denies_beneath(&place.path) {
            return Ok(());
        }
        self.places.push(place.path);
        if self.places.len() > MAX_PLACES {
            return Err(self.too_many(MAX_PLACES));
        }
        Ok(())
    }

    fn look(&mut self) -> Result<()> {
        self.looks += 1;
        if self.looks > MAX_LOOKS {
            Err(self.too_many(MAX_LOOKS))
        } else {
            Ok(())
        }
    }

    fn too_many(&self, most: usize) -> Error {
        Error::failed(format!(
            "failed to confine a program: its {} grants stand for more than {most} places; grant \
             whole folders (`dir/**`), or deny fewer paths beneath them",
            self.capability
        ))
    }
}
