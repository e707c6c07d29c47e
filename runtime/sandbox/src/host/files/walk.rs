//! Looking at many entries: on a thread where that keeps no other step waiting, bounded, and no longer than the step
//! has.

use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;
use sloth_policy::glob::Glob;
use sloth_policy::{Capability, Effective};

use super::metadata::kind;
use super::view::FilesView;
use crate::bindings::sloth::host::files::Entry;
use crate::host::error::{Error, Result};
use crate::place::name::{absolute, is_beneath, join};
use crate::place::{Access, Observed, Place, Tree, observe};
use crate::watch::{Watch, aside};

/// Most entries one call reaches.
const MAX_ENTRIES: usize = 100_000;
/// How many are permitted before others have their turn: permits are the gate's, and not for another thread.
const AT_ONCE: usize = 64;

/// The entries of a folder with their kinds.
pub(super) async fn entries(view: &FilesView<'_>, folder: &Place) -> Result<Vec<Entry>> {
    let look = Look::of(view);
    let folder = folder.clone();
    let found = aside(move || {
        let failed = |error: io::Error| Error::system(&format!("list {}", folder.path), &error);
        let names = look.tree.names(&folder).map_err(failed)?;
        let held = look.hold(&folder).ok().flatten();
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            look.watch.still()?;
            let child = look.child(&folder, held.as_ref(), &name);
            let observed = look.tree.observe(&child).map_err(failed)?;
            entries.push(Entry {
                name,
                kind: kind(&observed),
            });
        }
        Ok(entries)
    });
    found.await?
}

/// Paths that match a pattern and may be read.
pub(super) async fn glob(view: &mut FilesView<'_>, pattern: &str) -> Result<Vec<String>> {
    view.gate.loaded("files.glob")?;
    let pattern = absolute(pattern, &view.tree.workdir)?;
    let glob = Glob::parse(&pattern).map_err(Error::invalid)?;
    view.gate.searched(&pattern);
    let search = Search {
        look: Look::of(view),
        grants: Arc::clone(view.gate.grants()),
        glob,
        pattern,
    };
    aside(move || search.found()).await?
}

/// Everything beneath a folder and whether it is a folder, deepest first, the folder itself last. Permits each to be
/// removed, and touches none.
pub(super) async fn collect(
    view: &mut FilesView<'_>,
    call: &str,
    top: Place,
) -> Result<Vec<(Place, bool)>> {
    let failed = |error: io::Error| Error::system(&format!("look at {}", top.path), &error);
    let observed = view.tree.observe(&top).map_err(failed)?;
    let mut places = Vec::new();
    let mut open = vec![(top, matches!(observed, Observed::Directory(_)))];
    while let Some((place, folder)) = open.pop() {
        view.watch.still()?;
        if !folder {
            places.push((place, false));
            continue;
        }
        let room = MAX_ENTRIES.saturating_sub(places.len() + open.len());
        let look = Look::of(view);
        let looked = aside(move || look.beneath(&place, room).map(|beneath| (place, beneath)));
        let (place, beneath) = looked.await??;
        for (count, (child, folder)) in beneath.into_iter().enumerate() {
            if count % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
                view.watch.still()?;
            }
            view.permit(call, &child.path, Access::Delete, false)?;
            open.push((child, folder));
        }
        places.push((place, true));
    }
    places.reverse();
    Ok(places)
}

/// What a walk takes along to the thread where it looks.
struct Look {
    tree: Tree,
    watch: Watch,
}

impl Look {
    fn of(view: &FilesView<'_>) -> Self {
        Self {
            tree: view.tree.clone(),
            watch: view.watch.clone(),
        }
    }

    /// A folder held, so that nothing in it can be swapped; none for one that is only planned.
    fn hold(&self, folder: &Place) -> io::Result<Option<Arc<Dir>>> {
        if folder.is_nowhere() {
            return Ok(None);
        }
        match observe::enter(folder) {
            Err(_) if self.tree.is_planned(&folder.path) => Ok(None),
            held => held.map(Some),
        }
    }

    fn child(&self, folder: &Place, held: Option<&Arc<Dir>>, name: &str) -> Place {
        let path = join(&folder.path, name);
        match held {
            Some(held) => Place {
                folder: Arc::clone(held),
                name: name.to_owned(),
                path,
            },
            None => Place::nowhere(self.tree.root(), path),
        }
    }

    /// What lies right beneath a folder, less than `room` of it, and which of that is a folder.
    fn beneath(&self, folder: &Place, room: usize) -> Result<Vec<(Place, bool)>> {
        let failed = |error: io::Error| Error::system(&format!("look at {}", folder.path), &error);
        let names = self.tree.names(folder).map_err(failed)?;
        if names.len() >= room {
            return Err(Error::failed(format!(
                "more than {MAX_ENTRIES} entries would be touched; go folder by folder"
            )));
        }
        let held = self.hold(folder).map_err(failed)?;
        let mut beneath = Vec::with_capacity(names.len());
        for name in names {
            self.watch.still()?;
            let child = self.child(folder, held.as_ref(), &name);
            let observed = self.tree.observe(&child).map_err(failed)?;
            beneath.push((child, matches!(observed, Observed::Directory(_))));
        }
        Ok(beneath)
    }
}

/// A walk for what matches a pattern.
struct Search {
    look: Look,
    grants: Arc<Effective>,
    glob: Glob,
    pattern: String,
}

impl Search {
    fn found(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut open = vec![sloth_policy::static_prefix(&self.pattern)];
        let mut seen = 0;
        while let Some(path) = open.pop() {
            self.look.watch.still()?;
            seen += 1;
            if seen + open.len() > MAX_ENTRIES {
                return Err(Error::failed(format!(
                    "{} reaches more than {MAX_ENTRIES} entries; narrow it",
                    self.pattern
                )));
            }
            // As everything else sees it, in check mode with what is only planned.
            let (place, None) = self.look.tree.resolve(&path, false) else {
                continue;
            };
            let Ok(observed) = self.look.tree.observe(&place) else {
                continue;
            };
            if observed != Observed::Missing
                && self.glob.matches(&path)
                && self.may_read(&path)
                && self.may_read(&place.path)
            {
                found.push(path.clone());
            }
            let folder = matches!(observed, Observed::Directory(_));
            if folder && self.glob.may_match_beneath(&path) && self.may_read_beneath(&path) {
                let names = self.look.tree.names(&place).unwrap_or_default();
                open.extend(names.iter().map(|name| join(&path, name)));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Without a report: what may not be read is left out of a glob, not refused. Folders on the way
    /// are walked but not told.
    fn may_read(&self, path: &str) -> bool {
        self.look.tree.in_scratch(path).is_some()
            || self.grants.path(Capability::FilesRead, path).is_allowed()
    }

    /// Whether anything in a folder may be read. Where nothing may, nobody learns how much there is.
    fn may_read_beneath(&self, folder: &str) -> bool {
        let scratch = self.look.tree.scratch();
        let leads_to_scratch = scratch.is_some_and(|scratch| {
            is_beneath(scratch.path(), folder) || is_beneath(folder, scratch.path())
        });
        let grants = &self.grants;
        leads_to_scratch || grants.may_cover_beneath(Capability::FilesRead, folder)
    }
}
