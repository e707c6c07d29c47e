//! The view on files that the guest's calls get, and what each call does.

use sloth_policy::{Capability, Layer};
use sloth_workflow::Bundle;
use wasmtime::component::HasData;

use super::extract;
use super::many;
use super::metadata::metadata;
use super::mode;
use super::permit::other_kind;
use super::plan::{self, Change};
use super::walk;
use crate::bindings::sloth::host::files::{self, Entry, Extraction, Metadata};
use crate::bindings::sloth::host::types;
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::place::act::{self, Ownership};
use crate::place::planned::Thing;
use crate::place::{Access, Observed, Tree};
use crate::watch::Watch;

pub(crate) struct Files;

impl HasData for Files {
    type Data<'a> = FilesView<'a>;
}

/// Files and nothing else of an instance.
pub(crate) struct FilesView<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) tree: &'a Tree,
    pub(crate) bundle: &'a Bundle,
    /// Files that were asked for while loading and that the bundle does not carry.
    pub(crate) wanted: &'a mut Vec<String>,
    pub(crate) watch: &'a Watch,
    /// Most bytes of one read: what can fit the guest's memory.
    pub(crate) read_limit: u64,
    /// Most bytes that an archive may unpack to.
    pub(crate) unpack_limit: u64,
}

/// Most files that a script is remembered to have asked for, and the longest name of one in bytes.
const MAX_WANTED: usize = 1000;
const LONGEST_WANTED: usize = 4096;

const WRITE: &str = Capability::FilesWrite.name();
const DELETE: &str = Capability::FilesDelete.name();

impl files::Host for FilesView<'_> {
    fn read(&mut self, path: String) -> Result<Vec<u8>> {
        let place = self.permit("files.read", &path, Access::Read, true)?.place;
        match self.tree.read(&place, self.read_limit) {
            Ok(Some(content)) => Ok(content),
            Ok(None) => Err(self
                .gate
                .forbid(Capability::FilesRead, &place.path, Layer::Limit)),
            Err(error) => Err(Error::system(&format!("read {}", place.path), &error)),
        }
    }

    async fn list(&mut self, path: String) -> Result<Vec<Entry>> {
        let place = self.permit("files.list", &path, Access::Read, true)?.place;
        walk::entries(self, &place).await
    }

    fn stat(&mut self, path: String, follow: bool) -> Result<Option<Metadata>> {
        let place = match self.permit("files.stat", &path, Access::Read, follow) {
            Ok(permitted) => permitted.place,
            // A path whose folder is missing names nothing, just as one whose file is missing.
            Err(Error::Guest(types::Error::NotFound(_) | types::Error::WrongKind(_))) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let observed = self
            .tree
            .observe(&place)
            .map_err(|error| Error::system(&format!("look at {}", place.path), &error))?;
        Ok(metadata(&observed))
    }

    async fn hash(&mut self, path: String) -> Result<String> {
        let place = self.permit("files.hash", &path, Access::Read, true)?.place;
        self.digest(&place).await
    }

    async fn glob(&mut self, pattern: String) -> Result<Vec<String>> {
        walk::glob(self, &pattern).await
    }

    fn bundled(&mut self, path: String) -> Result<Option<Vec<u8>>> {
        let name = path.trim_start_matches("./");
        let carried = self.bundle.carried.get(name).cloned();
        let room = self.wanted.len() < MAX_WANTED && name.len() <= LONGEST_WANTED;
        if carried.is_none() && room && self.gate.loaded("files.bundled").is_err() {
            self.wanted.push(name.to_owned());
        }
        Ok(carried)
    }

    fn write(
        &mut self,
        path: String,
        content: Vec<u8>,
        mode: Option<u32>,
    ) -> Result<types::Change> {
        let permitted = self.permit("files.write", &path, Access::Write, true)?;
        self.put(&permitted, &content, mode)
    }

    fn append(&mut self, path: String, content: Vec<u8>) -> Result<types::Change> {
        let permitted = self.permit("files.append", &path, Access::Write, true)?;
        let observed = self.observe(&permitted)?;
        match observed {
            Observed::Missing => return self.put(&permitted, &content, None),
            Observed::File(_) if content.is_empty() => {
                return Ok(plan::nothing(&permitted.place.path));
            }
            Observed::File(_) => {}
            other => return Err(other_kind(&permitted.place.path, "a file", &other)),
        }
        let place = &permitted.place;
        let mut change = Change::new(format!("append {} bytes to {}", content.len(), place.path));
        if self.tree.check() {
            let failed = |error| Error::system(&format!("append to {}", place.path), &error);
            let Some(mut planned) = self.tree.read(place, self.read_limit).map_err(failed)? else {
                return Err(self
                    .gate
                    .forbid(Capability::FilesWrite, &place.path, Layer::Limit));
            };
            let before = planned.clone();
            planned.extend_from_slice(&content);
            change = change.with_diff(self.diff(&place.path, &before, &planned));
            let mode = observed
                .status()
                .map_or(0o644, |status| mode::kept(status.mode));
            self.tree.plan(
                &place.path,
                Thing::File {
                    content: planned.into(),
                    mode,
                },
            )?;
        } else {
            self.intend(Capability::FilesWrite, &permitted.place.path, &change)?;
            act::append(place, &content)
                .map_err(|error| Error::system(&format!("append to {}", place.path), &error))?;
        }
        self.emit(WRITE, change)
    }

    fn create(
        &mut self,
        path: String,
        content: Vec<u8>,
        mode: Option<u32>,
    ) -> Result<types::Change> {
        let permitted = self.permit("files.create", &path, Access::Write, false)?;
        let place = &permitted.place;
        if self.tree_observe(&permitted)? != Observed::Missing {
            return Err(Error::exists(format!("{} exists already", place.path)));
        }
        let change = Change::new(format!("create {} ({} bytes)", place.path, content.len()))
            .with_diff(self.diff(&place.path, b"", &content));
        let mode = mode::of_file(mode.unwrap_or(0o644))?;
        if self.tree.check() {
            let content = content.into();
            self.tree.plan(&place.path, Thing::File { content, mode })?;
        } else {
            self.intend(Capability::FilesCreate, &permitted.place.path, &change)?;
            act::create(place, &content, Ownership { mode, owner: None })
                .map_err(|error| Error::system(&format!("create {}", place.path), &error))?;
        }
        self.emit(Capability::FilesCreate.name(), change)
    }

    fn mkdir(&mut self, path: String, parents: bool, mode: Option<u32>) -> Result<types::Change> {
        let mode = mode::of_folder(mode.unwrap_or(0o755))?;
        many::make_folders(self, &path, parents, mode)
    }

    fn link(&mut self, path: String, target: String) -> Result<types::Change> {
        if target.is_empty() || target.contains('\0') {
            return Err(Error::invalid(
                "a link's target is a path without NUL bytes",
            ));
        }
        let permitted = self.permit("files.link", &path, Access::Write, false)?;
        let observed = self.observe(&permitted)?;
        let place = &permitted.place;
        let replacing = match &observed {
            Observed::Missing => false,
            Observed::Symlink(..) => true,
            other => {
                return Err(Error::exists(format!(
                    "{} in the way of a link is at {}; remove it first",
                    other.word(),
                    place.path
                )));
            }
        };
        let Some(change) = plan::link(&place.path, &observed, &target) else {
            return Ok(plan::nothing(&place.path));
        };
        if self.tree.check() {
            self.tree.plan(&place.path, Thing::Symlink { target })?;
        } else {
            self.intend(Capability::FilesWrite, &permitted.place.path, &change)?;
            act::link(place, &target, replacing)
                .map_err(|error| Error::system(&format!("link {}", place.path), &error))?;
        }
        self.emit(WRITE, change)
    }

    fn chmod(&mut self, path: String, mode: u32) -> Result<types::Change> {
        let permitted = self.permit("files.chmod", &path, Access::Write, true)?;
        let (observed, status) = self.existing(&permitted, "change the mode of")?;
        let mode = match observed {
            Observed::Directory(_) => mode::of_folder(mode)?,
            _ => mode::of_file(mode)?,
        };
        let place = &permitted.place;
        let Some(change) = plan::chmod(&place.path, status.mode, mode) else {
            return Ok(plan::nothing(&place.path));
        };
        if self.tree.check() {
            self.plan_mode(&place.path, &permitted, &observed, mode)?;
        } else {
            self.intend(Capability::FilesWrite, &permitted.place.path, &change)?;
            act::set_mode(place, mode).map_err(|error| {
                Error::system(&format!("change the mode of {}", place.path), &error)
            })?;
        }
        self.emit(WRITE, change)
    }

    fn chown(
        &mut self,
        path: String,
        owner: Option<String>,
        group: Option<String>,
    ) -> Result<types::Change> {
        let permitted = self.permit("files.chown", &path, Access::Write, true)?;
        let uid = owner.as_deref().map(crate::accounts::user_id).transpose()?;
        let gid = group
            .as_deref()
            .map(crate::accounts::group_id)
            .transpose()?;
        let (_, status) = self.existing(&permitted, "change the owner of")?;
        let place = &permitted.place;
        let Some(change) = plan::chown(&place.path, (status.uid, status.gid), uid, gid) else {
            return Ok(plan::nothing(&place.path));
        };
        if self.tree.check() {
            let owner = (uid.unwrap_or(status.uid), gid.unwrap_or(status.gid));
            self.tree.plan_owner(&place.path, owner)?;
        } else {
            self.intend(Capability::FilesWrite, &permitted.place.path, &change)?;
            act::set_owner(place, uid, gid).map_err(|error| {
                Error::system(&format!("change the owner of {}", place.path), &error)
            })?;
        }
        self.emit(WRITE, change)
    }

    async fn extract(&mut self, request: Extraction) -> Result<types::Change> {
        extract::extract(self, request).await
    }

    async fn remove(&mut self, path: String, recursive: bool) -> Result<types::Change> {
        let change = many::remove(self, &path, recursive).await?;
        match change {
            Some(change) => self.emit(DELETE, change),
            None => Ok(plan::nothing(&path)),
        }
    }

    async fn move_(&mut self, source: String, destination: String) -> Result<types::Change> {
        let change = many::rename(self, &source, &destination).await?;
        self.emit(WRITE, change)
    }
}
