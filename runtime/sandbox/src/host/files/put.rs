//! Making a file's content and mode so.

use sloth_policy::Capability;

use super::mode;
use super::permit::other_kind;
use super::plan;
use super::view::FilesView;
use crate::bindings::sloth::host::types;
use crate::host::error::{Error, Result};
use crate::place::act::{self, Landed, Ownership};
use crate::place::planned::Thing;
use crate::place::{Observed, Permitted};

impl FilesView<'_> {
    pub(super) fn put(
        &mut self,
        permitted: &Permitted,
        content: &[u8],
        mode: Option<u32>,
    ) -> Result<types::Change> {
        let mode = mode.map(mode::of_file).transpose()?;
        let observed = self.observe(permitted)?;
        let place = &permitted.place;
        let failed = |error| Error::system(&format!("write {}", place.path), &error);
        let before = match &observed {
            Observed::File(status) if status.size == content.len() as u64 || self.tree.diff => {
                self.tree.read(place, self.read_limit).map_err(failed)?
            }
            Observed::File(_) | Observed::Missing => None,
            other => return Err(other_kind(&place.path, "a file", other)),
        };
        let same = before.as_deref() == Some(content);
        let Some(change) = plan::write(&place.path, &observed, same, content.len(), mode) else {
            return Ok(plan::nothing(&place.path));
        };
        let shown = before.as_deref().unwrap_or_default();
        let known = before.is_some() || observed == Observed::Missing;
        let mut change = change.with_diff(
            known
                .then(|| self.diff(&place.path, shown, content))
                .flatten(),
        );
        let status = observed.status();
        let to = Ownership {
            mode: mode
                .or(status.map(|status| mode::kept(status.mode)))
                .unwrap_or(0o644),
            owner: status.map(|status| (status.uid, status.gid)),
        };
        if self.tree.check() {
            self.tree.plan(
                &place.path,
                Thing::File {
                    content: content.to_vec().into(),
                    mode: to.mode,
                },
            )?;
        } else if permitted.create_only {
            self.intend(Capability::FilesCreate, &place.path, &change)?;
            act::create(place, content, to).map_err(failed)?;
        } else {
            self.intend(Capability::FilesWrite, &place.path, &change)?;
            if act::replace(place, content, to).map_err(failed)? == Landed::InPlace {
                change
                    .summary
                    .push_str(", in place: the file is mounted and cannot be replaced");
            }
        }
        let capability = if permitted.create_only {
            Capability::FilesCreate.name()
        } else {
            Capability::FilesWrite.name()
        };
        self.emit(capability, change)
    }

    /// Check mode: later looks see the mode.
    pub(super) fn plan_mode(
        &self,
        path: &str,
        permitted: &Permitted,
        observed: &Observed,
        mode: u32,
    ) -> Result<()> {
        let thing = match observed {
            Observed::Directory(_) => Thing::Directory { mode },
            Observed::File(_) => {
                let content = self
                    .tree
                    .read(&permitted.place, self.read_limit)
                    .map_err(|error| Error::system(&format!("read {path}"), &error))?;
                // A file too long to remember keeps its real mode in later looks.
                let Some(content) = content else {
                    return Ok(());
                };
                Thing::File {
                    content: content.into(),
                    mode,
                }
            }
            _ => return Ok(()),
        };
        self.tree.plan(path, thing)
    }
}
