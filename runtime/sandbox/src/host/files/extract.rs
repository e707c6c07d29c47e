//! Unpacking an archive: everything it names is checked, permitted and compared before anything is made.
//!
//! Reading, hashing and writing happen on a thread of their own (see `unpack`), which asks here for each
//! place: what may be used is decided where the step's grants are.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use sloth_policy::Capability;

use super::archive::{Archive, Bytes};
use super::entry::{Kind, Named, above, beneath};
use super::many::{self, Watched};
use super::plan::{self, Unpacked};
use super::unpack::apply;
use super::view::{FilesView, other_kind};
use crate::bindings::sloth::host::files::Extraction;
use crate::bindings::sloth::host::types;
use crate::host::error::{Error, Result};
use crate::place::name::absolute;
use crate::place::{Access, Observed, Place, observe};

/// Most entries of one archive.
const MAX_ENTRIES: usize = 100_000;
const CALL: &str = "files.extract";

/// What is to stand at one name.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    pub(super) mode: u32,
    size: u64,
    pub(super) digest: [u8; 32],
    /// The entry whose content it is.
    pub(super) index: usize,
}

pub(super) type Listing = BTreeMap<String, Wanted>;

pub(super) async fn extract(
    view: &mut FilesView<'_>,
    request: Extraction,
) -> Result<types::Change> {
    let archive = open(view, &request)?;
    let destination = absolute(&request.destination, &view.tree.workdir)?;
    let listing = {
        let archive = archive.clone();
        blocking(move || list(&archive)).await?
    };
    view.permit_words(&destination)?;
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
    view.gate.loaded(CALL)?;
    let name = request.archive.trim_start_matches("./");
    let carried = &view.bundle.carried;
    let found = [format!("files/{name}"), name.to_owned()]
        .into_iter()
        .find_map(|name| carried.get(&name).map(|content| (name, content)));
    let (path, bytes) = if let Some((name, content)) = found {
        (name, Bytes::Carried(content.as_slice().into()))
    } else {
        let place = view
            .permit(CALL, &request.archive, Access::Read, true)?
            .place;
        let failed = |error| Error::system(&format!("read {}", place.path), &error);
        let bytes = if view.tree.is_planned(&place.path) {
            let content = view
                .tree
                .read(&place, view.unpack_limit)
                .map_err(failed)?
                .unwrap_or_default();
            Bytes::Carried(content.into())
        } else {
            Bytes::Node(Arc::new(observe::open_file(&place).map_err(failed)?))
        };
        (place.path, bytes)
    };
    Ok(Archive {
        path,
        bytes,
        limit: view.unpack_limit,
        strip: request.strip_components as usize,
        watch: view.watch.clone(),
    })
}

/// Everything the archive says is to be, with the digests of its files. A later entry of the same name
/// counts; what stands beneath a link or a file of the archive itself is refused.
fn list(archive: &Archive) -> Result<Listing> {
    let mut listing = Listing::new();
    let mut files: BTreeMap<String, Wanted> = BTreeMap::new();
    let mut entries = 0_usize;
    archive.walk(&mut |named: Named, content: &mut dyn Read| {
        entries += 1;
        if entries > MAX_ENTRIES || listing.len() > MAX_ENTRIES {
            return Err(Error::invalid(format!(
                "{} has more than {MAX_ENTRIES} entries; unpack it by a program",
                archive.path
            )));
        }
        for folder in above(&named.name) {
            let implied = Wanted::folder(named.index);
            let known = listing.entry(folder.to_owned()).or_insert(implied);
            if known.kind != Kind::Folder {
                return Err(twice(archive, &named.name, folder));
            }
        }
        let Named {
            index,
            name,
            kind,
            mode,
            size,
        } = named;
        let mut wanted = Wanted {
            kind,
            mode,
            size,
            digest: [0; 32],
            index,
        };
        match &wanted.kind {
            Kind::File => {
                let (size, digest) = digest(content).map_err(|error| archive.broken(&error))?;
                (wanted.size, wanted.digest) = (size, digest);
                files.insert(name.clone(), wanted.clone());
            }
            Kind::Same(of) => {
                let Some(file) = files.get(of) else {
                    return Err(Error::invalid(format!(
                        "failed to unpack {}: {name} is another name of {of}, which is no file \
                         before it in the archive",
                        archive.path
                    )));
                };
                let kind = Kind::Same(of.clone());
                wanted = Wanted {
                    kind,
                    index,
                    ..file.clone()
                };
                files.insert(name.clone(), wanted.clone());
            }
            Kind::Folder | Kind::Link(_) | Kind::Other => {}
        }
        let before = listing.get(&name).map(|before| before.kind == Kind::Folder);
        if before.is_some_and(|folder| folder != (wanted.kind == Kind::Folder)) {
            return Err(twice(archive, &name, &name));
        }
        listing.insert(name, wanted);
        Ok(())
    })?;
    Ok(listing)
}

impl Wanted {
    fn folder(index: usize) -> Self {
        Self {
            kind: Kind::Folder,
            mode: 0o755,
            size: 0,
            digest: [0; 32],
            index,
        }
    }
}

fn twice(archive: &Archive, name: &str, other: &str) -> Error {
    Error::invalid(format!(
        "failed to unpack {}: {name} needs a folder at {other}, where the archive has something else \
         as well",
        archive.path
    ))
}

fn digest(content: &mut dyn Read) -> io::Result<(u64, [u8; 32])> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut size = 0;
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok((size, hash.finalize().into())),
            count => {
                size += count as u64;
                hash.update(&buffer[..count]);
            }
        }
    }
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
            if view.tree.is_planned(&place.path) {
                let content = view.tree.read(&place, u64::MAX).map_err(failed)?;
                let now = Sha256::digest(content.unwrap_or_default());
                return Ok(now[..] == wanted.digest);
            }
            let file = observe::open_file(&place).map_err(failed)?;
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
