//! What the calls on files have in common: permit, observe, intend, emit.

use std::io::Read;

use sha2::{Digest, Sha256};
use sloth_policy::Capability;
use sloth_workflow::value::base16;

use super::many::Watched;
use super::plan::{self, Change};
use super::view::FilesView;
use crate::bindings::sloth::host::types;
use crate::host::error::{Error, Result};
use crate::learn::Permit;
use crate::place::observe::Status;
use crate::place::{Access, Observed, Permitted, Place};
use crate::watch::aside;

impl FilesView<'_> {
    pub(super) fn permit(
        &mut self,
        call: &str,
        path: &str,
        access: Access,
        follow: bool,
    ) -> Result<Permitted> {
        self.tree.permit(self.gate, call, path, access, follow)
    }

    /// The SHA-256 of a file's content in base 16, however long it is.
    pub(super) async fn digest(&self, place: &Place) -> Result<String> {
        let failed = |error| Error::system(&format!("read {}", place.path), &error);
        if let Some(content) = self.tree.planned_content(&place.path) {
            return Ok(base16(&Sha256::digest(content)));
        }
        let mut source = Watched {
            file: self.tree.open(place).map_err(failed)?,
            watch: self.watch.clone(),
        };
        let hashed = aside(move || {
            let mut hash = Sha256::new();
            let mut buffer = vec![0; 128 << 10];
            loop {
                match source.read(&mut buffer)? {
                    0 => return std::io::Result::Ok(hash.finalize()),
                    count => hash.update(&buffer[..count]),
                }
            }
        })
        .await?;
        // Why it was cut short comes before that it was.
        self.watch.still()?;
        hashed.map(|hash| base16(&hash)).map_err(failed)
    }

    pub(super) fn tree_observe(&self, permitted: &Permitted) -> Result<Observed> {
        let place = &permitted.place;
        self.tree
            .observe(place)
            .map_err(|error| Error::system(&format!("look at {}", place.path), &error))
    }

    /// *Observe*, with the last part of *permit*: what exists is not for `files.create`.
    pub(super) fn observe(&mut self, permitted: &Permitted) -> Result<Observed> {
        let observed = self.tree_observe(permitted)?;
        if permitted.create_only && observed != Observed::Missing {
            let path = &permitted.place.path;
            let permit = self
                .gate
                .permit_path(Capability::FilesWrite, "files.write", path)?;
            if permit == Permit::Imagined {
                return Ok(Observed::Missing);
            }
        }
        Ok(observed)
    }

    /// Whether anything stands at an absolute path. For the host's own questions: a step gets no
    /// answer from this.
    pub(crate) fn stands(&self, path: &str) -> bool {
        self.tree.root().resolve(path, true).is_ok_and(|place| {
            self.tree
                .observe(&place)
                .is_ok_and(|found| found != Observed::Missing)
        })
    }

    /// Whether the step may be told that something stands at a path.
    pub(crate) fn may_look(&self, path: &str) -> bool {
        self.may_write(path) || self.gate.grants_path(Capability::FilesRead, path)
    }

    /// Whether something may be made or changed at a path, without reporting a refusal.
    pub(super) fn may_write(&self, path: &str) -> bool {
        self.tree.in_scratch(path).is_some()
            || self.gate.grants_path(Capability::FilesWrite, path)
            || self.gate.grants_path(Capability::FilesCreate, path)
    }

    /// Whether a folder stands there; an error when something else does.
    pub(super) fn observe_folder(&mut self, permitted: &Permitted) -> Result<bool> {
        match self.tree_observe(permitted)? {
            Observed::Missing => Ok(false),
            Observed::Directory(_) => Ok(true),
            other => Err(other_kind(&permitted.place.path, "a folder", &other)),
        }
    }

    /// *Permit* to write at a path whose folder does not stand yet.
    pub(super) fn permit_words(&mut self, path: &str) -> Result<()> {
        if self.may_write(path) {
            return Ok(());
        }
        let permit = self
            .gate
            .permit_path(Capability::FilesWrite, "files.write", path)?;
        permit.or_foretold();
        Ok(())
    }

    pub(super) fn existing(
        &mut self,
        permitted: &Permitted,
        doing: &str,
    ) -> Result<(Observed, Status)> {
        let observed = self.observe(permitted)?;
        let path = &permitted.place.path;
        match observed.status() {
            Some(status) => Ok((observed.clone(), *status)),
            None => Err(Error::not_found(format!(
                "failed to {doing} {path}: nothing is there"
            ))),
        }
    }

    /// *Intend*: puts the change on record before it is made. A step's own folder is nobody's but its
    /// own and needs none.
    pub(super) fn intend(
        &mut self,
        capability: Capability,
        path: &str,
        change: &Change,
    ) -> Result<()> {
        if self.tree.check() || self.tree.in_scratch(path).is_some() {
            return Ok(());
        }
        self.gate.intend(capability, &change.summary)
    }

    /// *Emit*: reports the change and hands it to the guest.
    pub(super) fn emit(
        &mut self,
        capability: &'static str,
        change: Change,
    ) -> Result<types::Change> {
        self.gate
            .report
            .change(capability, &change.summary, change.diff.clone())?;
        Ok(change.done())
    }

    /// A diff, where diffs are wanted and the step may read what it would show.
    pub(super) fn diff(&self, path: &str, before: &[u8], after: &[u8]) -> Option<String> {
        let readable = before.is_empty() || self.gate.grants_path(Capability::FilesRead, path);
        (self.tree.diff && readable)
            .then(|| plan::diff(path, before, after))
            .flatten()
    }
}

pub(super) fn other_kind(path: &str, wanted: &str, found: &Observed) -> Error {
    Error::wrong_kind(format!("{path} is {}, not {wanted}", found.word()))
}
