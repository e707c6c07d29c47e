//! Calls that change more than one place: folders with those above them, removing and moving with all beneath.
//! Everything they would touch is permitted before anything is touched.

use std::io;

use sloth_policy::Capability;

use super::permit::other_kind;
use super::plan::{self, Change};
use super::view::FilesView;
use super::walk;
use crate::bindings::sloth::host::types;
use crate::host::error::{Error, Result};
use crate::place::act::{self, Ownership};
use crate::place::name::absolute;
use crate::place::planned::Thing;
use crate::place::{Access, Observed, Place, observe};
use crate::watch::{Watch, aside};

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

/// Removes what stands at a path; none when nothing does.
pub(super) async fn remove(
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
            walk::collect(view, "files.remove", place).await?.len()
        } else {
            1
        };
        view.tree.plan(&path, Thing::Missing)?;
        return Ok(Some(removal(&path, count)));
    }
    let places = walk::collect(view, "files.remove", place).await?;
    let change = removal(&path, places.len());
    view.intend(Capability::FilesDelete, &path, &change)?;
    let watch = view.watch.clone();
    let removing = move || {
        for (place, folder) in places {
            watch.still()?;
            act::remove(&place, folder)
                .map_err(|error| Error::system(&format!("remove {}", place.path), &error))?;
        }
        Result::Ok(())
    };
    aside(removing).await??;
    Ok(Some(change))
}

fn removal(path: &str, count: usize) -> Change {
    match count {
        1 => Change::new(format!("remove {path}")),
        _ => Change::new(format!("remove {path} and {} entries beneath", count - 1)),
    }
}

/// Moves a file, link or folder.
pub(super) async fn rename(
    view: &mut FilesView<'_>,
    source: &str,
    destination: &str,
) -> Result<Change> {
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
    let beneath = if matches!(observed, Observed::Directory(_)) {
        permit_beneath(view, &from, &to.place).await?
    } else {
        Vec::new()
    };
    if view.tree.check() {
        plan_move(view, from, to.place, beneath).await?;
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
            let watch = view.watch.clone();
            aside(move || copy_across(watch, &from, &to.place, &observed)).await??;
            Ok(change)
        }
        Err(error) => Err(failed(error)),
    }
}

/// What lies beneath a folder that may be moved with it.
async fn permit_beneath(view: &mut FilesView<'_>, from: &Place, to: &Place) -> Result<Vec<Place>> {
    let again = view
        .permit("files.move", &from.path, Access::Delete, false)?
        .place;
    let mut beneath = Vec::new();
    for (place, _) in walk::collect(view, "files.move", again).await? {
        let rest = place.path.strip_prefix(&from.path).unwrap_or_default();
        if !rest.is_empty() {
            view.permit_words(&format!("{}{rest}", to.path))?;
            beneath.push(place);
        }
    }
    Ok(beneath)
}

/// Check mode: later reads find all of it where it would be.
async fn plan_move(
    view: &FilesView<'_>,
    from: Place,
    to: Place,
    beneath: Vec<Place>,
) -> Result<()> {
    let (tree, watch, limit) = (view.tree.clone(), view.watch.clone(), view.read_limit);
    let planning = move || {
        let mut things = Vec::new();
        // Their room, until each is planned.
        let mut rooms = Vec::new();
        // From the top.
        for place in std::iter::once(&from).chain(beneath.iter().rev()) {
            watch.still()?;
            let failed = |error: io::Error| Error::system(&format!("read {}", place.path), &error);
            let observed = tree.observe(place).map_err(failed)?;
            let owner = observed.status().map(|status| (status.uid, status.gid));
            let thing = match observed {
                Observed::File(status) => {
                    let (size, mode) = (status.size, status.mode);
                    match tree.read(place, limit).map_err(failed)? {
                        Some(content) => {
                            rooms.push(tree.room(content.len() as u64)?);
                            let content = content.into();
                            Thing::File { content, mode }
                        }
                        None => Thing::Long { size, mode },
                    }
                }
                Observed::Directory(status) => Thing::Directory { mode: status.mode },
                Observed::Symlink(_, target) => Thing::Symlink { target },
                Observed::Missing | Observed::Other(_) => continue,
            };
            let rest = place.path.strip_prefix(&from.path).unwrap_or_default();
            things.push((format!("{}{rest}", to.path), thing, owner));
        }
        tree.plan(&from.path, Thing::Missing)?;
        drop(rooms);
        for (path, thing, owner) in things {
            tree.plan(&path, thing)?;
            if let Some(owner) = owner {
                tree.plan_owner(&path, owner)?;
            }
        }
        Result::Ok(())
    };
    aside(planning).await?
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
fn copy_across(watch: Watch, from: &Place, to: &Place, observed: &Observed) -> Result<()> {
    let failed =
        |error: io::Error| Error::system(&format!("move {} to {}", from.path, to.path), &error);
    match observed {
        Observed::File(status) => {
            let file = observe::open_file(from).map_err(failed)?;
            let to_be = Ownership {
                mode: status.mode,
                owner: Some((status.uid, status.gid)),
            };
            let mut file = Watched { file, watch };
            let landed = act::replace_from(to, &mut file, to_be);
            // Why the copy was cut short comes before that it was.
            file.watch.still()?;
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
