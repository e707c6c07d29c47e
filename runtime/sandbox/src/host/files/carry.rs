//! Artifacts: files that a task leaves in its working folder for others, and those it gets.

use std::io;
use std::sync::Arc;

use sloth_policy::Glob;
use sloth_workflow::order::artifacts;
use sloth_workflow::{Artifact, Untrusted};

use super::many::{self, Watched};
use super::mode;
use super::plan::Change;
use super::view::FilesView;
use super::walk;
use crate::artifacts::Artifacts;
use crate::host::error::{Error, Result};
use crate::place::act::{self, Ownership};
use crate::place::name::join;
use crate::place::planned::Thing;
use crate::place::{Access, Observed, Permitted};
use crate::watch::aside;

/// Most files that a task leaves.
const MOST: usize = 10_000;

impl FilesView<'_> {
    /// Keeps the files beneath `folder` that the task says it leaves. They are read under the step's
    /// own grants; links are not followed.
    pub(crate) async fn collect(
        &mut self,
        folder: &str,
        wanted: &[Untrusted],
        store: &Arc<Artifacts>,
    ) -> Result<Vec<Artifact>> {
        let globs: Vec<Glob> = wanted
            .iter()
            .map(|text| artifacts::glob(text).map_err(Error::invalid))
            .collect::<Result<_>>()?;
        let mut left = store.by_task();
        let mut found = Vec::new();
        for name in self.beneath(folder).await? {
            if !globs.iter().any(|glob| artifacts::covers(glob, &name)) {
                continue;
            }
            let place = self
                .permit("artifacts", &join(folder, &name), Access::Read, false)?
                .place;
            let failed = |error: io::Error| {
                Error::system(&format!("keep the artifact {}", place.path), &error)
            };
            let Observed::File(status) = self.tree.observe(&place).map_err(failed)? else {
                continue;
            };
            let file: Box<dyn io::Read + Send> = match self.tree.planned_content(&place.path) {
                Some(content) => Box::new(io::Cursor::new(content)),
                None => Box::new(self.tree.open(&place).map_err(failed)?),
            };
            let mut source = Watched {
                file,
                watch: self.watch.clone(),
            };
            let keeper = Arc::clone(store);
            let kept = aside(move || keeper.put(&mut source, left)).await?;
            // Why it was cut short comes before that it was.
            self.watch.still()?;
            let (digest, size) = kept.map_err(failed)?;
            left -= size;
            found.push(Artifact {
                name,
                digest,
                size,
                executable: status.mode & 0o100 != 0,
            });
        }
        for (glob, text) in globs.iter().zip(wanted) {
            // In check mode no program has made anything.
            if !self.tree.check() && !found.iter().any(|file| artifacts::covers(glob, &file.name)) {
                let message = format!("no file in {folder} matches artifacts `{}`", text.raw());
                self.gate
                    .report
                    .log(sloth_workflow::event::Level::Warn, &message)?;
            }
        }
        Ok(found)
    }

    /// The paths of all files beneath a folder, relative to it.
    async fn beneath(&mut self, folder: &str) -> Result<Vec<String>> {
        let mut files = Vec::new();
        let mut open = vec![String::new()];
        while let Some(inner) = open.pop() {
            self.watch.still()?;
            let path = if inner.is_empty() {
                folder.to_owned()
            } else {
                join(folder, &inner)
            };
            let place = self.permit("artifacts", &path, Access::Read, false)?.place;
            let failed = |error| Error::system(&format!("list {}", place.path), &error);
            // The task may have taken its folder away.
            let Observed::Directory(_) = self.tree.observe(&place).map_err(failed)? else {
                continue;
            };
            let entries = walk::entries(self, &place).await?;
            for entry in entries {
                let name = if inner.is_empty() {
                    entry.name
                } else {
                    format!("{inner}/{}", entry.name)
                };
                match entry.kind {
                    crate::bindings::sloth::host::files::Kind::Directory => open.push(name),
                    crate::bindings::sloth::host::files::Kind::File => files.push(name),
                    _ => {}
                }
                if files.len() + open.len() > MOST {
                    return Err(Error::failed(format!(
                        "more than {MOST} files lie in {folder}; let the task work in a folder of \
                         its own to leave artifacts"
                    )));
                }
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Puts artifacts where the task works, under its own grants. A file that is the same already stays;
    /// one that is not keeps its owner and mode.
    pub(crate) async fn place(
        &mut self,
        folder: &str,
        artifacts: &[Artifact],
        store: &Arc<Artifacts>,
    ) -> Result<()> {
        for artifact in artifacts {
            let path = join(folder, &artifact.name);
            if let Some((above, _)) = path.rsplit_once('/')
                && above != folder
            {
                self.make_above(above)?;
            }
            let permitted = self.permit("consumes", &path, Access::Write, true)?;
            let failed =
                |error: io::Error| Error::system(&format!("put the artifact at {path}"), &error);
            let observed = self.observe(&permitted)?;
            if let Observed::File(status) = observed
                && status.size == artifact.size
                && self.digest(&permitted.place).await? == artifact.digest
            {
                continue;
            }
            // A step's own folder is filled in check mode too: programs that change nothing read there.
            let own = self.tree.in_scratch(&permitted.place.path).is_some()
                && !permitted.place.is_nowhere();
            if self.tree.check() && !own {
                self.foresee(&permitted, artifact, store).map_err(failed)?;
                self.tell(&permitted.place.path, artifact, &path)?;
                continue;
            }
            let change = told(artifact, &path);
            self.intend(
                sloth_policy::Capability::FilesWrite,
                &permitted.place.path,
                &change,
            )?;
            let mut source = Watched {
                file: store.open(&artifact.digest).map_err(failed)?,
                watch: self.watch.clone(),
            };
            let to_be = match observed {
                Observed::File(status) => Ownership {
                    mode: mode::kept(status.mode),
                    owner: Some((status.uid, status.gid)),
                },
                _ => Ownership {
                    mode: if artifact.executable { 0o755 } else { 0o644 },
                    owner: None,
                },
            };
            let place = permitted.place.path.clone();
            let landed =
                aside(move || act::replace_from(&permitted.place, &mut source, to_be)).await?;
            self.watch.still()?;
            landed.map_err(failed)?;
            self.tell(&place, artifact, &path)?;
        }
        Ok(())
    }

    /// Check mode: later reads see it.
    fn foresee(
        &self,
        permitted: &Permitted,
        artifact: &Artifact,
        store: &Artifacts,
    ) -> io::Result<()> {
        let mut file = store.open(&artifact.digest)?;
        let told = |error: Error| io::Error::other(error.words());
        let room = self.tree.room(artifact.size).map_err(told)?;
        let mut content = Vec::new();
        io::Read::read_to_end(&mut file, &mut content)?;
        drop(room);
        let content = content.into();
        let mode = if artifact.executable { 0o755 } else { 0o644 };
        self.tree
            .plan(&permitted.place.path, Thing::File { content, mode })
            .map_err(told)
    }

    /// Makes the folders that an artifact lies in. In the step's own folder that is nobody's business.
    fn make_above(&mut self, path: &str) -> Result<()> {
        if self.tree.in_scratch(path).is_some() {
            many::ensure_folders(self, path, true, 0o755).map(drop)
        } else {
            many::make_folders(self, path, true, 0o755).map(drop)
        }
    }

    /// *Emit*. A step's own folder is nobody's but its own: that it fills is no change of the node.
    fn tell(&mut self, place: &str, artifact: &Artifact, path: &str) -> Result<()> {
        if self.tree.in_scratch(place).is_none() {
            let summary = told(artifact, path).summary;
            let capability = sloth_policy::Capability::FilesWrite.name();
            self.gate.report.change(capability, &summary, None)?;
        }
        Ok(())
    }
}

fn told(artifact: &Artifact, path: &str) -> Change {
    Change::new(format!("put the artifact {} at {path}", artifact.name))
}
