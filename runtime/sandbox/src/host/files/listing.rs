//! Everything an archive says is to be, bounded in names, in folders that names imply, and in what all of it
//! comes to on the disk.

use std::collections::BTreeMap;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::archive::Archive;
use super::entry::{Kind, Named, above};
use crate::host::error::{Error, Result};

/// Most entries of one archive, folders that are only implied among them.
const MAX_ENTRIES: usize = 100_000;
/// Most bytes of all their names.
const MAX_NAMES: usize = 16 << 20;

/// What is to stand at one name.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) digest: [u8; 32],
    /// The entry whose content it is.
    pub(super) index: usize,
}

pub(super) type Listing = BTreeMap<String, Wanted>;

/// What was listed so far.
struct Lister<'a> {
    archive: &'a Archive,
    listing: Listing,
    /// Every name that a later entry may be another name of.
    files: BTreeMap<String, Wanted>,
    entries: usize,
    names: usize,
    /// Bytes that all files come to, each name with its own.
    size: u64,
}

/// Lists an archive with the digests of its files. A later entry of the same name counts; what stands
/// beneath a link or a file of the archive itself is refused.
pub(super) fn list(archive: &Archive) -> Result<Listing> {
    let mut lister = Lister {
        archive,
        listing: Listing::new(),
        files: BTreeMap::new(),
        entries: 0,
        names: 0,
        size: 0,
    };
    archive.walk(&mut |named, content| lister.take(named, content))?;
    Ok(lister.listing)
}

impl Lister<'_> {
    fn take(&mut self, named: Named, content: &mut dyn Read) -> Result<()> {
        self.entries += 1;
        for folder in above(&named.name) {
            self.archive.watch.still()?;
            let Some(known) = self.listing.get(folder) else {
                self.count(folder)?;
                let implied = Wanted::folder(named.index);
                self.listing.insert(folder.to_owned(), implied);
                continue;
            };
            if known.kind != Kind::Folder {
                return Err(twice(self.archive, &named.name, folder));
            }
        }
        self.count(&named.name)?;
        let name = named.name.clone();
        let wanted = self.wanted(named, content)?;
        let before = self.listing.get(&name);
        let before = before.map(|before| before.kind == Kind::Folder);
        if before.is_some_and(|folder| folder != (wanted.kind == Kind::Folder)) {
            return Err(twice(self.archive, &name, &name));
        }
        self.listing.insert(name, wanted);
        Ok(())
    }

    fn wanted(&mut self, named: Named, content: &mut dyn Read) -> Result<Wanted> {
        let mut wanted = Wanted {
            kind: named.kind,
            mode: named.mode,
            size: named.size,
            digest: [0; 32],
            index: named.index,
        };
        match &wanted.kind {
            Kind::File => {
                let read = digest(content).map_err(|error| self.archive.broken(&error))?;
                (wanted.size, wanted.digest) = read;
                self.fill(wanted.size)?;
                self.files.insert(named.name, wanted.clone());
            }
            Kind::Same(of) => {
                let Some(file) = self.files.get(of) else {
                    return Err(Error::invalid(format!(
                        "failed to unpack {}: {} is another name of {of}, which is no file before it \
                         in the archive",
                        self.archive.path, named.name
                    )));
                };
                wanted = file.clone();
                self.fill(wanted.size)?;
                self.files.insert(named.name, wanted.clone());
            }
            Kind::Link(target) => {
                let target = target.clone();
                self.count(&target)?;
            }
            Kind::Folder | Kind::Other => {}
        }
        Ok(wanted)
    }

    /// One more name, before it is kept.
    fn count(&mut self, name: &str) -> Result<()> {
        self.names += name.len();
        let path = &self.archive.path;
        if self.entries > MAX_ENTRIES || self.listing.len() > MAX_ENTRIES {
            return Err(Error::invalid(format!(
                "{path} has more than {MAX_ENTRIES} entries; unpack it by a program"
            )));
        }
        if self.names > MAX_NAMES {
            return Err(Error::invalid(format!(
                "the names in {path} come to more than {} MiB; unpack it by a program",
                MAX_NAMES >> 20
            )));
        }
        Ok(())
    }

    /// One more file: what is read is bounded where it is read, and this is what is written. Another name
    /// of a file is a file of its own.
    fn fill(&mut self, size: u64) -> Result<()> {
        self.size = self.size.saturating_add(size);
        if self.size > self.archive.limit {
            return Err(self.archive.too_much());
        }
        Ok(())
    }
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

pub(super) fn digest(content: &mut dyn Read) -> io::Result<(u64, [u8; 32])> {
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
