//! The files as one step may see them: every path is permitted as asked, resolved, and permitted
//! again where it leads, before anything about it is told.

use std::io;
use std::sync::Arc;

use sloth_policy::{Capability, Layer};

use super::name::{absolute, is_beneath};
use super::planned::{Planned, Thing};
use super::{Observed, Place, Root, observe};
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::sandbox::Sight;
use crate::scratch::Scratch;

/// What a call wants of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    Delete,
}

/// A place that may be used, and how far.
#[derive(Debug)]
pub(crate) struct Permitted {
    pub(crate) place: Place,
    /// Only `files.create` covers it: what exists must not be touched.
    pub(crate) create_only: bool,
}

/// One step's view of the node's files.
pub(crate) struct Tree {
    root: Arc<Root>,
    /// Absolute; where relative paths start.
    pub(crate) workdir: String,
    /// The step's own folder, free to use without a grant.
    scratch: Option<Arc<Scratch>>,
    /// Set in check mode.
    planned: Option<Arc<Planned>>,
    /// The node's own paths.
    protected: Arc<[String]>,
    /// Whether changes carry diffs.
    pub(crate) diff: bool,
}

impl Tree {
    pub(crate) fn new(root: Arc<Root>, sight: &Sight) -> Self {
        Self {
            root,
            workdir: "/".into(),
            scratch: None,
            planned: sight.planned.clone(),
            protected: Arc::clone(&sight.protected),
            diff: sight.diff,
        }
    }

    pub(crate) fn begin_step(&mut self, workdir: String, scratch: Arc<Scratch>) {
        self.workdir = workdir;
        self.scratch = Some(scratch);
    }

    /// The step's own folder goes.
    pub(crate) fn end_step(&mut self) {
        self.scratch = None;
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    pub(crate) fn scratch(&self) -> Option<&Arc<Scratch>> {
        self.scratch.as_ref()
    }

    /// The step's own folder, if the path lies in it.
    pub(crate) fn in_scratch(&self, path: &str) -> Option<&Arc<Scratch>> {
        let scratch = self.scratch.as_ref()?;
        is_beneath(path, scratch.path()).then_some(scratch)
    }

    /// Whether nothing may be applied.
    pub(crate) fn check(&self) -> bool {
        self.planned.is_some()
    }

    /// *Permit*: matches the asked path, resolves it, matches where it leads. `call` names the
    /// function for messages.
    pub(crate) fn permit(
        &self,
        gate: &mut Gate,
        call: &str,
        path: &str,
        access: Access,
        follow: bool,
    ) -> Result<Permitted> {
        gate.loaded(call)?;
        let asked = absolute(path, &self.workdir)?;
        let asked_create_only = self.match_path(gate, call, &asked, access, false)?;
        let (place, stuck) = match self.root.resolve(&asked, follow) {
            Ok(place) => (place, None),
            Err(stuck) => {
                let imagined = self.is_imagined(&stuck.path, &stuck.error);
                let place = Place::nowhere(&self.root, stuck.path);
                (place, (!imagined).then_some(stuck.error))
            }
        };
        let create_only = if place.path == asked {
            asked_create_only
        } else {
            asked_create_only | self.match_path(gate, call, &place.path, access, true)?
        };
        // To replace or remove a folder or link on the way to the node's own files is to replace
        // those. (What is not followed is what would be replaced.)
        let replaces = access == Access::Delete || (access == Access::Write && !follow);
        if replaces
            && self
                .protected
                .iter()
                .any(|own| is_beneath(own, &place.path))
        {
            return Err(gate.forbid(capability(access), &place.path, Layer::SelfProtection));
        }
        match stuck {
            Some(error) => Err(Error::system(&format!("{} {asked}", verb(access)), &error)),
            None => Ok(Permitted { place, create_only }),
        }
    }

    /// Whether only `files.create` covers the path; an error when nothing does.
    fn match_path(
        &self,
        gate: &mut Gate,
        call: &str,
        path: &str,
        access: Access,
        resolved: bool,
    ) -> Result<bool> {
        if let Some(scratch) = self.in_scratch(path) {
            scratch
                .make()
                .map_err(|error| Error::system("make the scratch folder", &error))?;
            if access == Access::Write {
                scratch.within_quota()?;
            }
            return Ok(false);
        }
        let capability = capability(access);
        if super::resolve::is_own_process(path) {
            return Err(gate.forbid(capability, path, Layer::SelfProtection));
        }
        match access {
            Access::Read if resolved && gate.grants_path(Capability::FilesFollow, path) => {
                Ok(false)
            }
            Access::Write
                if !gate.grants_path(Capability::FilesWrite, path)
                    && gate.grants_path(Capability::FilesCreate, path) =>
            {
                Ok(true)
            }
            Access::Read | Access::Write | Access::Delete => {
                gate.path(capability, call, path).map(|()| false)
            }
        }
    }

    /// Whether a place lies in a folder that check mode only plans.
    fn is_imagined(&self, path: &str, error: &io::Error) -> bool {
        let above = &path[..path.rfind('/').unwrap_or(0)];
        error.kind() == io::ErrorKind::NotFound
            && matches!(self.planned_at(above), Some(Thing::Directory { .. }))
    }

    /// *Observe*: what stands at a place, or in check mode would.
    pub(crate) fn observe(&self, place: &Place) -> io::Result<Observed> {
        match self.planned_at(&place.path) {
            Some(thing) => Ok(thing.observed()),
            None => observe::look(place),
        }
    }

    /// The content of a file, or in check mode what it would be; none when over `limit` bytes.
    pub(crate) fn read(&self, place: &Place, limit: u64) -> io::Result<Option<Vec<u8>>> {
        match self.planned_at(&place.path) {
            Some(Thing::File { content, .. }) => {
                Ok((content.len() as u64 <= limit).then_some(content))
            }
            Some(Thing::Directory { .. }) => Err(io::ErrorKind::IsADirectory.into()),
            Some(Thing::Missing) => Err(io::ErrorKind::NotFound.into()),
            Some(Thing::Symlink { .. }) => Err(rustix::io::Errno::LOOP.into()),
            None => observe::read(place, limit),
        }
    }

    /// Names in a folder, sorted, as they are or in check mode would be.
    pub(crate) fn names(&self, place: &Place) -> io::Result<Vec<String>> {
        let Some(planned) = &self.planned else {
            return observe::names(place);
        };
        let mut names = match planned.get(&place.path) {
            Some(Thing::Directory { .. }) if place.is_nowhere() => Vec::new(),
            Some(Thing::Missing) => return Err(io::ErrorKind::NotFound.into()),
            _ => observe::names(place).or_else(|error| match planned.get(&place.path) {
                Some(Thing::Directory { .. }) => Ok(Vec::new()),
                _ => Err(error),
            })?,
        };
        for (name, exists) in planned.names_in(&place.path) {
            names.retain(|other| *other != name);
            if exists {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Remembers in check mode what would have been done. Does nothing otherwise.
    pub(crate) fn plan(&self, path: &str, thing: Thing) -> Result<()> {
        match &self.planned {
            Some(planned) if !planned.set(path, thing) => Err(Error::failed(format!(
                "check mode remembers at most {} MiB of what would be written; check less at once",
                super::planned::MAX_REMEMBERED >> 20
            ))),
            _ => Ok(()),
        }
    }

    /// Whether check mode remembers something for this very path.
    pub(crate) fn is_planned(&self, path: &str) -> bool {
        self.planned_at(path).is_some()
    }

    fn planned_at(&self, path: &str) -> Option<Thing> {
        self.planned.as_ref()?.get(path)
    }
}

fn capability(access: Access) -> Capability {
    match access {
        Access::Read => Capability::FilesRead,
        Access::Write => Capability::FilesWrite,
        Access::Delete => Capability::FilesDelete,
    }
}

fn verb(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::Delete => "remove",
    }
}
