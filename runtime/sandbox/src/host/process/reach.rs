//! What a program may touch: the step's own grants, as lists of places for the kernel to hold it to.
//!
//! The kernel's rules are for whole trees and can only allow. A grant for a whole tree is one rule;
//! any other pattern stands for what it matches now; a tree with something denied beneath is taken
//! apart around it. What cannot be said that way is refused rather than widened.

use sloth_policy::{Capability, Decision, Effective, Glob, Layer, static_prefix};

use crate::confine::{
    SYSTEM_DEVICES, SYSTEM_NETWORK_READ, SYSTEM_READ, SYSTEM_READ_EXECUTE, SYSTEM_WRITE,
};
use crate::host::error::{Error, Result};
use crate::place::name::{is_beneath, join};
use crate::place::{Observed, Place, Root, observe};

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

/// What a program is there for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The step's own folder.
    pub(super) scratch: Option<String>,
    pub(super) network: bool,
    /// It is said to change nothing, and so gets nothing to change but its scratch folder.
    pub(super) read_only: bool,
}

/// Works out the reach of a program under these grants.
pub(super) fn of(grants: &Effective, root: &Root, wish: Wish) -> Result<Reach> {
    let granted = |capability, denied: &[Capability]| {
        let lister = Lister {
            grants,
            root,
            capability,
            denied: denied.to_vec(),
            places: Vec::new(),
            looks: 0,
        };
        lister.list()
    };
    let mut reach = Reach {
        read: granted(Capability::FilesRead, &[])?,
        ..Reach::default()
    };
    if !wish.read_only {
        reach.write = granted(Capability::FilesWrite, &[])?;
        reach.delete = granted(Capability::FilesDelete, &[])?;
        // The kernel tells no replaced file from a removed one, so whoever may write a tree may
        // also replace what is in it, unless removing is denied there.
        reach
            .delete
            .extend(granted(Capability::FilesWrite, &[Capability::FilesDelete])?);
    }
    // A deny line that names one of these paths holds for programs too; what lies beneath the
    // system's folders is the same for everybody.
    let system = |paths: &[&str]| -> Vec<String> {
        let denied = |path: &str| {
            matches!(
                grants.path(Capability::FilesRead, path),
                Decision::Refused(Layer::Deny | Layer::SelfProtection)
            )
        };
        paths
            .iter()
            .filter(|path| !denied(path))
            .filter_map(|path| root.resolve(path, true).ok())
            .map(|place| place.path)
            .filter(|path| !denied(path))
            .collect()
    };
    reach.execute = system(SYSTEM_READ_EXECUTE);
    reach.read.extend(system(SYSTEM_READ_EXECUTE));
    // An entry of /proc for the program itself: the helper resolves it, here it would be ours.
    reach.read.extend(system(&without_self(SYSTEM_READ)));
    reach.read.push("/proc/self".into());
    reach.read.extend(system(SYSTEM_DEVICES));
    reach.write.extend(system(SYSTEM_WRITE));
    if wish.network {
        reach.read.extend(system(SYSTEM_NETWORK_READ));
    }
    if let Some(scratch) = wish.scratch {
        for list in [&mut reach.read, &mut reach.write, &mut reach.delete] {
            list.push(scratch.clone());
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
    /// Further capabilities whose deny lines count.
    denied: Vec<Capability>,
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
        self.denied
            .iter()
            .chain([&self.capability])
            .any(|capability| self.grants.denies_beneath(*capability, path))
    }

    /// What a pattern matches now.
    fn matching(&mut self, glob: &Glob, start: String) -> Result<()> {
        let mut open = vec![start];
        while let Some(path) = open.pop() {
            self.look()?;
            let Ok(place) = self.root.resolve(&path, false) else {
                continue;
            };
            let observed = observe::look(&place);
            // A pattern that names a folder grants the folder, not what lies in it, and the kernel
            // knows no rule for that: a program sees the files it matches.
            if glob.matches(&path) && !matches!(observed, Ok(Observed::Directory(_))) {
                self.add(&path)?;
            }
            if let Ok(Observed::Directory(_)) = observed {
                let names = observe::names(&place).unwrap_or_default();
                // No deeper than the pattern goes.
                let children = names.iter().map(|name| join(&path, name));
                open.extend(children.filter(|child| glob.may_match_beneath(child)));
            }
        }
        Ok(())
    }

    /// Adds a place if every layer grants it, as named and where it leads.
    fn add(&mut self, path: &str) -> Result<()> {
        let Ok(place) = self.root.resolve(path, true) else {
            return Ok(());
        };
        let led_elsewhere = place.path != path;
        if !self.grants.path(self.capability, path).is_allowed()
            || (led_elsewhere && !self.leads_to_granted(&place))
            || self.is_denied(&place.path)
        {
            return Ok(());
        }
        self.places.push(place.path);
        if self.places.len() > MAX_PLACES {
            return Err(self.too_many(MAX_PLACES));
        }
        Ok(())
    }

    /// Whether a link leads to what is granted itself: a file, or a folder with all beneath.
    fn leads_to_granted(&self, place: &Place) -> bool {
        let mut capabilities = vec![self.capability];
        if self.capability == Capability::FilesRead {
            capabilities.push(Capability::FilesFollow);
        }
        let folder = matches!(observe::look(place), Ok(Observed::Directory(_)));
        capabilities.into_iter().any(|capability| {
            if folder {
                let trees = self.grants.trees(capability);
                trees.iter().any(|tree| is_beneath(&place.path, tree))
                    && !self.denies_beneath(&place.path)
            } else {
                self.grants.path(capability, &place.path).is_allowed()
            }
        })
    }

    fn is_denied(&self, path: &str) -> bool {
        self.denied.iter().any(|capability| {
            matches!(
                self.grants.path(*capability, path),
                Decision::Refused(Layer::Deny | Layer::SelfProtection)
            )
        })
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
