//! Calls that reach beneath a folder. Everything they would touch is permitted before anything is
//! touched.

use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;
use sloth_policy::Capability;
use sloth_policy::glob::Glob;

use super::metadata::kind;
use super::permit::other_kind;
use super::plan::{self, Change};
use super::view::FilesView;
use crate::bindings::sloth::host::files::Entry;
use crate::bindings::sloth::host::types;
use crate::host::error::{Error, Result};
use crate::place::act::{self, Ownership};
use crate::place::name::{absolute, is_beneath, join};
use crate::place::planned::Thing;
use crate::place::{Access, Observed, Place, observe};
use crate::watch::Watch;

/// Most entries one call reaches.
const MAX_ENTRIES: usize = 100_000;

/// The entries of a folder with their kinds.
pub(super) fn entries(
    view: &FilesView<'_>,
    folder: &Place,
    names: Vec<String>,
) -> Result<Vec<Entry>> {
    let failed = |error: io::Error| Error::system(&format!("list {}", folder.path), &error);
    let mut entries = Vec::with_capacity(names.len());
    let held = if folder.is_nowhere() {
        None
    } else {
        observe::enter(folder).ok()
    };
    for name in names {
        view.watch.still()?;
        let child = child(view, folder, held.as_ref(), &name);
        let observed = view.tree.observe(&child).map_err(failed)?;
        entries.push(Entry {
            name,
            kind: kind(&observed),
        });
    }
    Ok(entries)
}

fn child(view: &FilesView<'_>, folder: &Place, held: Option<&Arc<Dir>>, name: &str) -> Place {
    let path = join(&folder.path, name);
    match held {
        Some(held) => Place {
            folder: Arc::clone(held),
            name: name.to_owned(),
            path,
        },
        None => Place::nowhere(view.tree.root(), path),
    }
}

/// Paths that match a pattern and may be read.
pub(super) fn glob(view: &mut FilesView<'_>, pattern: &str) -> Result<Vec<String>> {
    view.gate.loaded("files.glob")?;
    let pattern = absolute(pattern, &view.tree.workdir)?;
    let glob = Glob::parse(&pattern).map_err(Error::invalid)?;
    view.gate.searched(&pattern);
    let start = sloth_policy::static_prefix(&pattern);
    let mut found = Vec::new();
    let mut open = vec![start];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        view.watch.still()?;
        seen += 1;
        if seen + open.len() > MAX_ENTRIES {
            return Err(Error::failed(format!(
                "{pattern} reaches more than {MAX_ENTRIES} entries; narrow it"
            )));
        }
        // As everything else sees it, in check mode with what is only planned.
        let (place, None) = view.tree.resolve(&path, false) else {
            continue;
        };
        let Ok(observed) = view.tree.observe(&place) else {
            continue;
        };
        if observed != Observed::Missing
            && glob.matches(&path)
            && may_read(view, &path)
            && may_read(view, &place.path)
        {
            found.push(path.clone());
        }
        let folder = matches!(observed, Observed::Directory(_));
        if folder && glob.may_match_beneath(&path) && may_read_beneath(view, &path) {
            let names = view.tree.names(&place).unwrap_or_default();
            open.extend(names.iter().map(|name| join(&path, name)));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Without a report: what may not be read is left out of a glob, not refused. Folders on the way
/// are walked but not told.
fn may_read(view: &FilesView<'_>, path: &str) -> bool {
    view.tree.in_scratch(path).is_some() || view.gate.grants_path(Capability::FilesRead, path)
}

/// Whether anything in a folder may be read. Where nothing may, nobody learns how much there is.
fn may_read_beneath(view: &FilesView<'_>, folder: &str) -> bool {
    let scratch = view.tree.scratch();
    let leads_to_scratch = scratch.is_some_and(|scratch| {
        is_beneath(scratch.path(), folder) || is_beneath(folder, scratch.path())
    });
    leads_to_scratch
        || view
            .gate
            .grants()
            .may_cover_beneath(Capability::FilesRead, folder)
}

/// Makes a folder and, with `parents`, those missing above it.
pub(super) fn make_folders(
    view: &mut FilesView<'_>,
    path: &str,
    parents: bool,
    mode: u32,
) -> Result<types::Change> {
    let (asked, was_missing) = ensure_folders(view, path, parents, mode)?;
    if !was_missing {
        return Ok(plan::nothing(&asked));
    }
    view.emit(
        Capability::FilesWrite.name(),
        Change::new(format!("make the folder {asked}")),
    )
}

/// As [`make_folders`], told to nobody. Gives the whole path and whether something was made.
pub(super) fn ensure_folders(
    view: &mut FilesView<'_>,
    path: &str,
    parents: bool,
    mode: u32,
) -> Result<(String, bool)> {
    view.gate.loaded("files.mkdir")?;
    let asked = absolute(path, &view.tree.workdir)?;
    let mut missing = Vec::new();
    let mut above = asked.clone();
    loop {
        // A folder above the granted ones need not be granted when it is there already, and asking
        // for it is no refusal worth reporting.
        if above != asked && !view.may_write(&above) && view.stands(&above) {
            break;
        }
        match view.permit("files.mkdir", &above, Access::Write, true) {
            Ok(permitted) => {
                if view.observe_folder(&permitted)? {
                    break;
                }
                missing.push(above.clone());
            }
            Err(Error::Guest(types::Error::NotFound(_))) if parents => missing.push(above.clone()),
            Err(error) => return Err(error),
        }
        if !parents || above == "/" {
            break;
        }
        let cut = above.rfind('/').unwrap_or(0).max(1);
        above.truncate(cut);
    }
    if missing.is_empty() {
        return Ok((asked, false));
    }
    let change = Change::new(format!("make the folder {asked}"));
    view.intend(Capability::FilesWrite, &asked, &change)?;
    for path in missing.iter().rev() {
        let place = view.permit("files.mkdir", path, Access::Write, true)?.place;
        if view.tree.check() {
            view.tree.plan(&place.path, Thing::Directory { mode })?;
        } else {
            act::make_folder(&place, mode)
                .map_err(|error| Error::system(&format!("make the folder {path}"), &error))?;
        }
    }
    Ok((asked, true))
}

/// Everything beneath a folder, deepest first, the folder itself last.
struct Beneath {
    places: Vec<(Place, bool)>,
}

/// Collects and permits, without touching.
fn collect(view: &mut FilesView<'_>, call: &str, top: Place) -> Result<Beneath> {
    let mut places = Vec::new();
    let mut open = vec![top];
    while let Some(place) = open.pop() {
        view.watch.still()?;
        let failed = |error: io::Error| Error::system(&format!("look at {}", place.path), &error);
        let folder = matches!(
            view.tree.observe(&place).map_err(failed)?,
            Observed::Directory(_)
        );
        if folder {
            let names = view.tree.names(&place).map_err(failed)?;
            // A folder that is only planned cannot be held.
            let held = if view.tree.is_planned(&place.path) {
                None
            } else {
                Some(observe::enter(&place).map_err(failed)?)
            };
            for name in names {
                let path = join(&place.path, &name);
                view.permit(call, &path, Access::Delete, false)?;
                open.push(child(view, &place, held.as_ref(), &name));
            }
        }
        places.push((place, folder));
        if places.len() + open.len() > MAX_ENTRIES {
            return Err(Error::failed(format!(
                "more than {MAX_ENTRIES} entries would be touched; go folder by folder"
            )));
        }
    }
    places.reverse();
    Ok(Beneath { places })
}

/// Removes what stands at a path; none when nothing does.
pub(super) fn remove(
    view: &mut FilesView<'_>,
    path: &str,
    recursive: bool,
) -> Result<Option<Change>> {
    let place = match view.permit("files.remove", path, Access::Delete, false) {
        Ok(permitted) => permitted.place,
        // Beneath a missing folder there is nothing either.
        Err(Error::Guest(types::Error::NotFound(_))) => return Ok(None),
        Err(error) => return Err(error),
    };
    let failed = |error: io::Error| Error::system(&format!("remove {}", place.path), &error);
    let observed = view.tree.observe(&place).map_err(failed)?;
    if observed == Observed::Missing {
        return Ok(None);
    }
    let path = place.path.clone();
    let folder = matches!(observed, Observed::Directory(_));
    if folder && !recursive && !view.tree.names(&place).map_err(failed)?.is_empty() {
        return Err(Error::failed(format!(
            "failed to remove {path}: the folder is not empty; remove it with all in it (fs.rmr)"
        )));
    }
    if view.tree.check() {
        let count = if folder {
            collect(view, "files.remove", place)?.places.len()
        } else {
            1
        };
        view.tree.plan(&path, Thing::Missing)?;
        return Ok(Some(removal(&path, count)));
    }
    let places = collect(view, "files.remove", place)?.places;
    let change = removal(&path, places.len());
    view.intend(Capability::FilesDelete, &path, &change)?;
    for (place, folder) in places {
        view.watch.still()?;
        act::remove(&place, folder)
            .map_err(|error| Error::system(&format!("remove {}", place.path), &error))?;
    }
    Ok(Some(change))
}

fn removal(path: &str, count: usize) -> Change {
    match count {
        1 => Change::new(format!("remove {path}")),
        _ => Change::new(format!("remove {path} and {} entries beneath", count - 1)),
    }
}

/// Moves a file, link or folder.
pub(super) fn rename(view: &mut FilesView<'_>, source: &str, destination: &str) -> Result<Change> {
    let from = view
        .permit("files.move", source, Access::Delete, false)?
        .place;
    let to = view.permit("files.move", destination, Access::Write, false)?;
    let failed = |error: io::Error| {
        Error::system(&format!("move {} to {}", from.path, to.place.path), &error)
    };
    let observed = view.tree.observe(&from).map_err(failed)?;
    if observed == Observed::Missing {
        return Err(Error::not_found(format!(
            "failed to move {}: nothing is there",
            from.path
        )));
    }
    match view.observe(&to)? {
        Observed::Missing | Observed::File(_) | Observed::Symlink(..) => {}
        other => return Err(other_kind(&to.place.path, "a file to replace", &other)),
    }
    let change = Change::new(format!("move {} to {}", from.path, to.place.path));
    if matches!(observed, Observed::Directory(_)) {
        permit_beneath(view, &from, &to.place)?;
    }
    if view.tree.check() {
        plan_move(view, &from, &to.place, &observed)?;
        return Ok(change);
    }
    // Within a step's own folder nothing is to be told; out of it or into it, it is.
    let told = match view.tree.in_scratch(&to.place.path) {
        Some(_) => &from.path,
        None => &to.place.path,
    };
    view.intend(Capability::FilesWrite, told, &change)?;
    match act::rename(&from, &to.place) {
        Ok(()) => Ok(change),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_across(view, &from, &to.place, &observed)?;
            Ok(change)
        }
        Err(error) => Err(failed(error)),
    }
}

fn permit_beneath(view: &mut FilesView<'_>, from: &Place, to: &Place) -> Result<()> {
    let again = view
        .permit("files.move", &from.path, Access::Delete, false)?
        .place;
    for (place, _) in collect(view, "files.move", again)?.places {
        let rest = place.path.strip_prefix(&from.path).unwrap_or_default();
        if !rest.is_empty() {
            view.permit_words(&format!("{}{rest}", to.path))?;
        }
    }
    Ok(())
}

fn plan_move(
    view: &mut FilesView<'_>,
    from: &Place,
    to: &Place,
    observed: &Observed,
) -> Result<()> {
    let thing = match observed {
        Observed::File(status) => {
            let content = view
                .tree
                .read(from, view.read_limit)
                .map_err(|error| Error::system(&format!("read {}", from.path), &error))?;
            Thing::File {
                content: content.unwrap_or_default().into(),
                mode: status.mode,
            }
        }
        Observed::Directory(status) => Thing::Directory { mode: status.mode },
        Observed::Symlink(_, target) => Thing::Symlink {
            target: target.clone(),
        },
        Observed::Missing | Observed::Other(_) => return Ok(()),
    };
    view.tree.plan(&from.path, Thing::Missing)?;
    view.tree.plan(&to.path, thing)?;
    Ok(())
}

/// A long copy looks at the step's time between its pieces.
pub(super) struct Watched<R> {
    pub(super) file: R,
    pub(super) watch: Watch,
}

impl<R: io::Read> io::Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watch.still().map_err(io::Error::other)?;
        self.file.read(buffer)
    }
}

/// A rename cannot leave its file system: the content goes over first, then the source goes away.
fn copy_across(view: &FilesView<'_>, from: &Place, to: &Place, observed: &Observed) -> Result<()> {
    let failed =
        |error: io::Error| Error::system(&format!("move {} to {}", from.path, to.path), &error);
    match observed {
        Observed::File(status) => {
            let file = observe::open_file(from).map_err(failed)?;
            let to_be = Ownership {
                mode: status.mode,
                owner: Some((status.uid, status.gid)),
            };
            let mut file = Watched {
                file,
                watch: view.watch.clone(),
            };
            let landed = act::replace_from(to, &mut file, to_be);
            // Why the copy was cut short comes before that it was.
            view.watch.still()?;
            landed.map_err(failed)?;
        }
        Observed::Symlink(_, target) => act::link(to, target, true).map_err(failed)?,
        other => {
            return Err(Error::failed(format!(
                "failed to move {}: {} cannot be moved to another file system",
                from.path,
                other.word()
            )));
        }
    }
    act::remove(from, false).map_err(failed)
}
