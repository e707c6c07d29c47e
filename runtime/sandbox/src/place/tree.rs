//! The files as one step may see them: every path is permitted as asked, resolved, and permitted
//! again where it leads, before anything about it is told.

use std::io;
use std::sync::Arc;

use hyper::body::Bytes;
use sloth_policy::{Capability, Layer};

use super::name::{absolute, is_beneath};
use super::planned::{Planned, Room, Thing};
use super::{Observed, Place, Root, observe};
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::learn::{Permit, absent};
use crate::sandbox::Sight;
use crate::scratch::Scratch;

/// Most links of check mode's own that are followed in one path.
const MAX_PLANNED_LINKS: u32 = 40;

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
    /// Nothing grants it, and it is only learned: nothing stands there for the step.
    pub(crate) imagined: bool,
}

/// What matching one path says.
#[derive(Default)]
struct Matched {
    create_only: bool,
    imagined: bool,
}

/// One step's view of the node's files.
#[derive(Clone)]
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
            planned: sight.foreseen.as_ref().map(|all| Arc::clone(&all.files)),
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

    pub(crate) fn shared_root(&self) -> Arc<Root> {
        Arc::clone(&self.root)
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
        let mut found = self.match_path(gate, call, &asked, access, false)?;
        let (mut place, mut stuck) = self.resolve(&asked, follow);
        if place.path != asked {
            let resolved = self.match_path(gate, call, &place.path, access, true)?;
            found.create_only |= resolved.create_only;
            found.imagined |= resolved.imagined;
        }
        // To replace or remove a folder or link on the way to the node's own files is to replace
        // those. (What is not followed is what would be replaced.)
        let replaces = access == Access::Delete || (access == Access::Write && !follow);
        if replaces && self.protects(&place.path) {
            return Err(gate.forbid(capability(access), &place.path, Layer::SelfProtection));
        }
        if found.imagined {
            if access != Access::Read && !self.check() {
                return Err(absent(capability(access), &asked));
            }
            // The step learns nothing of it, not even where it leads.
            (place, stuck) = (Place::nowhere(&self.root, asked.clone()), None);
        }
        match stuck {
            Some(error) => Err(Error::system(&format!("{} {asked}", verb(access)), &error)),
            None => Ok(Permitted {
                place,
                create_only: found.create_only,
                imagined: found.imagined,
            }),
        }
    }

    /// Whether a path is the node's own or holds what is.
    pub(crate) fn protects(&self, path: &str) -> bool {
        self.protected.iter().any(|own| is_beneath(own, path))
    }

    /// Where a path leads, in check mode also through links that are only planned; and why it leads no
    /// further.
    pub(crate) fn resolve(&self, asked: &str, follow: bool) -> (Place, Option<io::Error>) {
        let mut path = asked.to_owned();
        let mut links = 0;
        loop {
            if let Some(next) = self.through_planned(&path, follow) {
                links += 1;
                if links > MAX_PLANNED_LINKS {
                    let place = Place::nowhere(&self.root, path);
                    return (place, Some(rustix::io::Errno::LOOP.into()));
                }
                path = next;
                continue;
            }
            let (place, error) = match self.root.resolve(&path, follow) {
                Ok(place) => (place, None),
                Err(stuck) => {
                    let imagined = self.is_imagined(&stuck.path, &stuck.error);
                    let place = Place::nowhere(&self.root, stuck.path);
                    (place, (!imagined).then_some(stuck.error))
                }
            };
            // A link on the disk may lead to one that is only planned.
            if place.path != path && self.through_planned(&place.path, follow).is_some() {
                path = place.path;
                continue;
            }
            return (place, error);
        }
    }

    /// The path with its first planned link put in place.
    fn through_planned(&self, path: &str, follow: bool) -> Option<String> {
        let planned = self.planned.as_ref()?;
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
        let last = follow.then_some(path.len());
        for end in ends.chain(last) {
            let Some(Thing::Symlink { target }) = planned.get(&path[..end]) else {
                continue;
            };
            let folder = &path[..path[..end].rfind('/').unwrap_or(0)];
            return absolute(&format!("{target}{}", &path[end..]), folder).ok();
        }
        None
    }

    /// How far a path may be used; an error when nothing covers it.
    fn match_path(
        &self,
        gate: &mut Gate,
        call: &str,
        path: &str,
        access: Access,
        resolved: bool,
    ) -> Result<Matched> {
        if let Some(scratch) = self.in_scratch(path) {
            scratch
                .make()
                .map_err(|error| Error::system("make the scratch folder", &error))?;
            if access == Access::Write {
                scratch.within_quota()?;
            }
            return Ok(Matched::default());
        }
        let capability = capability(access);
        if super::resolve::is_own_process(path) {
            return Err(gate.forbid(capability, path, Layer::SelfProtection));
        }
        match access {
            Access::Read if resolved && gate.grants_path(Capability::FilesFollow, path) => {
                Ok(Matched::default())
            }
            Access::Write
                if !gate.grants_path(Capability::FilesWrite, path)
                    && gate.grants_path(Capability::FilesCreate, path) =>
            {
                Ok(Matched {
                    create_only: true,
                    imagined: false,
                })
            }
            Access::Read | Access::Write | Access::Delete => {
                let permit = gate.permit_path(capability, call, path)?;
                Ok(Matched {
                    create_only: false,
                    imagined: permit == Permit::Imagined,
                })
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
        let observed = match self.planned_at(&place.path) {
            Some(thing) => thing.observed(),
            None => observe::look(place)?,
        };
        let planned = self.planned.as_ref();
        Ok(
            match planned.and_then(|planned| planned.owner(&place.path)) {
                Some(owner) => observed.owned_by(owner),
                None => observed,
            },
        )
    }

    /// The content of a file, or in check mode what it would be; none when over `limit` bytes.
    pub(crate) fn read(&self, place: &Place, limit: u64) -> io::Result<Option<Vec<u8>>> {
        match self.planned_at(&place.path) {
            Some(Thing::File { content, .. }) => {
                Ok((content.len() as u64 <= limit).then(|| content.into()))
            }
            Some(Thing::Long { .. }) => Ok(None),
            Some(Thing::Directory { .. }) => Err(io::ErrorKind::IsADirectory.into()),
            Some(Thing::Missing) => Err(io::ErrorKind::NotFound.into()),
            Some(Thing::Symlink { .. }) => Err(rustix::io::Errno::LOOP.into()),
            None => observe::read(place, limit),
        }
    }

    /// A file whose content is not remembered, to be read bit by bit.
    pub(crate) fn open(&self, place: &Place) -> io::Result<observe::Held> {
        if let Some(Thing::Long { .. }) = self.planned_at(&place.path) {
            return Err(io::Error::other(
                "this is check mode, which does not remember a file of that length",
            ));
        }
        observe::open_file(place)
    }

    /// Names in a folder, sorted, as they are or in check mode would be.
    pub(crate) fn names(&self, place: &Place) -> io::Result<Vec<String>> {
        let Some(planned) = &self.planned else {
            return observe::names(place);
        };
        let mut names = match planned.get(&place.path) {
            Some(Thing::Directory { .. }) if place.is_nowhere() => Vec::new(),
            Some(Thing::Missing) => return Err(io::ErrorKind::NotFound.into()),
            Some(Thing::Directory { .. }) if planned.is_emptied(&place.path) => Vec::new(),
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
        let Some(planned) = &self.planned else {
            return Ok(());
        };
        // What is changed keeps its owner.
        let keeps = matches!(thing, Thing::File { .. } | Thing::Directory { .. });
        if keeps
            && !self.is_planned(path)
            && let Ok(place) = self.root.resolve(path, false)
            && let Ok(before @ (Observed::File(_) | Observed::Directory(_))) = self.observe(&place)
            && let Some(status) = before.status()
        {
            self.plan_owner(path, (status.uid, status.gid))?;
        }
        if planned.set(path, thing) {
            Ok(())
        } else {
            Err(too_much())
        }
    }

    /// Remembers in check mode whose something would be. Does nothing otherwise.
    pub(crate) fn plan_owner(&self, path: &str, owner: (u32, u32)) -> Result<()> {
        match &self.planned {
            Some(planned) if !planned.give(path, owner) => Err(too_much()),
            _ => Ok(()),
        }
    }

    /// Room in check mode's memory for a content that is still to be read.
    pub(crate) fn room(&self, bytes: u64) -> Result<Option<Room>> {
        match &self.planned {
            Some(planned) => planned.room(bytes).map(Some).ok_or_else(too_much),
            None => Ok(None),
        }
    }

    /// The content that check mode remembers for this very path.
    pub(crate) fn planned_content(&self, path: &str) -> Option<Bytes> {
        match self.planned_at(path)? {
            Thing::File { content, .. } => Some(content),
            _ => None,
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

fn too_much() -> Error {
    Error::failed(format!(
        "check mode remembers at most {} MiB of what would be written; check less at once",
        super::planned::MAX_REMEMBERED >> 20
    ))
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
