//! Unpacking an archive: everything it names is checked, permitted and compared before anything is made.
//!
//! Reading, hashing and writing happen on a thread of their own (see `unpack`), which asks here for each
//! place: what may be used is decided where the step's grants are.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use sloth_policy::Capability;

use super::archive::{Archive, Stored};
use super::entry::{Kind, above, beneath};
use super::listing::{Listing, Wanted, digest, list};
use super::many::{self, Watched};
use super::permit::other_kind;
use super::plan::{self, Unpacked};
use super::unpack::apply;
use super::view::FilesView;
use crate::bindings::sloth::host::files::Extraction;
use crate::bindings::sloth::host::types;
use crate::host::error::{Error, Result};
use crate::place::name::absolute;
use crate::place::{Access, Observed, Place};

const CALL: &str = "files.extract";

pub(super) async fn extract(
    view: &mut FilesView<'_>,
    request: Extraction,
) -> Result<types::Change> {
    view.gate.loaded(CALL)?;
    let destination = absolute(&request.destination, &view.tree.workdir)?;
    // An archive is not read to its end for somebody who may not unpack it.
    view.permit_words(&destination)?;
    let archive = open(view, &request)?;
    let listing = {
        let archive = archive.clone();
        blocking(move || list(&archive)).await?
    };
    for name in listing.keys() {
        view.permit_words(&beneath(&destination, name))?;
    }
    let standing = view.permit(CALL, &destination, Access::Write, true);
    let missing = match standing {
        Ok(permitted) => !view.observe_folder(&permitted)?,
        Err(Error::Guest(types::Error::NotFound(_))) => true,
        Err(error) => return Err(error),
    };
    let different = if missing {
        let new = |(name, wanted): (&String, &Wanted)| (name.clone(), (wanted.clone(), true));
        listing.iter().map(new).collect()
    } else {
        compare(view, &destination, &listing).await?
    };
    if missing {
        many::make_folders(view, &destination, true, 0o755)?;
    } else if different.is_empty() {
        return Ok(plan::nothing(&destination));
    }
    let told: Vec<Unpacked<'_>> = different
        .iter()
        .map(|(name, (wanted, new))| Unpacked {
            name,
            size: wanted.size,
            new: *new,
        })
        .collect();
    let change = plan::extract(&archive.path, &destination, &told, listing.len());
    let change = if view.tree.diff {
        let diff = plan::names(&destination, &told);
        change.with_diff(Some(diff))
    } else {
        change
    };
    let different: Listing = different
        .into_iter()
        .map(|(name, (wanted, _))| (name, wanted))
        .collect();
    view.intend(Capability::FilesWrite, &destination, &change)?;
    apply(view, archive, &destination, different).await?;
    view.emit(Capability::FilesWrite.name(), change)
}

/// *Permit* to read the archive, and a hold on it.
fn open(view: &mut FilesView<'_>, request: &Extraction) -> Result<Archive> {
    let name = request.archive.trim_start_matches("./");
    let carried = &view.bundle.carried;
    let found = [format!("files/{name}"), name.to_owned()]
        .into_iter()
        .find_map(|name| carried.get(&name).map(|content| (name, content)));
    let (path, stored) = if let Some((name, content)) = found {
        (name, Stored::Carried(content.clone().into()))
    } else {
        let place = view
            .permit(CALL, &request.archive, Access::Read, true)?
            .place;
        let failed = |error| Error::system(&format!("read {}", place.path), &error);
        let stored = match view.tree.planned_content(&place.path) {
            Some(content) => Stored::Carried(content),
            None => Stored::Node(Arc::new(view.tree.open(&place).map_err(failed)?)),
        };
        (place.path, stored)
    };
    Ok(Archive {
        path,
        stored,
        limit: view.unpack_limit,
        strip: request.strip_components as usize,
        watch: view.watch.clone(),
    })
}

/// What differs from what stands there, and whether it would be new.
async fn compare(
    view: &mut FilesView<'_>,
    destination: &str,
    listing: &Listing,
) -> Result<BTreeMap<String, (Wanted, bool)>> {
    let mut different: BTreeMap<String, (Wanted, bool)> = BTreeMap::new();
    for (name, wanted) in listing {
        view.watch.still()?;
        // Beneath a folder that is missing everything is.
        let known_missing = above(name).any(|folder| different.contains_key(folder));
        if known_missing {
            different.insert(name.clone(), (wanted.clone(), true));
            continue;
        }
        let (place, observed) = place(view, destination, name)?;
        if so_already(view, wanted, place, &observed).await? {
            continue;
        }
        different.insert(
            name.clone(),
            (wanted.clone(), observed == Observed::Missing),
        );
    }
    Ok(different)
}

async fn so_already(
    view: &FilesView<'_>,
    wanted: &Wanted,
    place: Place,
    observed: &Observed,
) -> Result<bool> {
    match (&wanted.kind, observed) {
        (_, Observed::Missing) => Ok(false),
        (Kind::Folder, Observed::Directory(_)) => Ok(true),
        (Kind::Folder, other) => Err(other_kind(&place.path, "a folder", other)),
        (Kind::Link(target), Observed::Symlink(_, now)) => Ok(target == now),
        (Kind::Link(_), other) => Err(Error::exists(format!(
            "{} in the way of a link is at {}; remove it first",
            other.word(),
            place.path
        ))),
        (_, Observed::Symlink(..)) => Ok(false),
        (_, Observed::File(status)) => {
            if status.size != wanted.size || status.mode != wanted.mode {
                return Ok(false);
            }
            let failed = |error: io::Error| Error::system(&format!("read {}", place.path), &error);
            if let Some(content) = view.tree.planned_content(&place.path) {
                return Ok(Sha256::digest(content)[..] == wanted.digest);
            }
            let file = view.tree.open(&place).map_err(failed)?;
            let watch = view.watch.clone();
            let found = blocking(move || Ok(digest(&mut Watched { file, watch }))).await;
            view.watch.still()?;
            Ok(found?.map_err(failed)?.1 == wanted.digest)
        }
        (_, other) => Err(other_kind(&place.path, "a file", other)),
    }
}

/// *Permit* and *observe* for one name. That it lies where its words say means that no link, be it the
/// archive's or one that was there, stands on the way.
pub(super) fn place(
    view: &mut FilesView<'_>,
    destination: &str,
    name: &str,
) -> Result<(Place, Observed)> {
    let folder = view.permit(CALL, destination, Access::Write, true)?.place;
    let path = beneath(&folder.path, name);
    let permitted = view.permit(CALL, &path, Access::Write, false)?;
    if permitted.place.path != path {
        return Err(Error::invalid(format!(
            "{name} would be unpacked through a link to {}; unpack into that folder instead",
            permitted.place.path
        )));
    }
    let observed = view.observe(&permitted)?;
    Ok((permitted.place, observed))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Trap(error.into()))?
}
