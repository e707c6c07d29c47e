//! The entries of a tar stream. Its extension headers are read here and not by the crate, which would
//! hold them in memory however long they are.

use std::io::Read;

use tar::{EntryType, Header, PaxExtensions};

use super::archive::{Archive, MAX_HEADERS, Take};
use super::entry::{Entry, Kind};
use crate::host::error::{Error, Result};

/// Longest name or pax header, in bytes.
const MAX_EXTENSION: u64 = 1 << 20;

/// What extension headers say of the entry that follows them.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    /// Bytes of headers so far.
    read: u64,
}

pub(super) fn walk(archive: &Archive, stream: impl Read, take: Take<'_>) -> Result<()> {
    let mut tar = tar::Archive::new(stream);
    let entries = tar.entries().map_err(|error| archive.broken(&error))?;
    let mut extended = Extended::default();
    let mut index = 0;
    for entry in entries.raw(true) {
        let mut entry = entry.map_err(|error| archive.broken(&error))?;
        let kind = entry.header().entry_type();
        if extended.take_in(archive, kind, &mut entry)? {
            continue;
        }
        let about = std::mem::take(&mut extended);
        let size = entry.size();
        if about.size.is_some_and(|said| said != size) {
            return Err(Error::invalid(format!(
                "failed to unpack {}: an entry has a size of its own in a pax header (it is over \
                 8 GiB); unpack it by a program",
                archive.path
            )));
        }
        let named = read(entry.header(), about, index, size)
            .map_err(|reason| {
                Error::invalid(format!("failed to unpack {}: {reason}", archive.path))
            })?
            .named(archive.strip)?;
        index += 1;
        if let Some(named) = named {
            archive.give(named, &mut entry, take)?;
        }
    }
    Ok(())
}

impl Extended {
    /// Whether this was an extension header, which is then kept for the next entry.
    fn take_in(
        &mut self,
        archive: &Archive,
        kind: EntryType,
        entry: &mut impl Read,
    ) -> Result<bool> {
        let extension = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if !extension {
            return Ok(false);
        }
        let mut text = Vec::new();
        entry
            .take(MAX_EXTENSION + 1)
            .read_to_end(&mut text)
            .map_err(|error| archive.broken(&error))?;
        self.read += text.len() as u64;
        if text.len() as u64 > MAX_EXTENSION || self.read > MAX_HEADERS {
            return Err(Error::invalid(format!(
                "failed to unpack {}: a header of it is longer than {MAX_EXTENSION} bytes",
                archive.path
            )));
        }
        if kind.is_pax_local_extensions() {
            self.take_in_pax(&text);
        } else if !kind.is_pax_global_extensions() {
            while text.last() == Some(&0) {
                text.pop();
            }
            let field = if kind.is_gnu_longname() {
                &mut self.name
            } else {
                &mut self.target
            };
            *field = Some(text);
        }
        Ok(true)
    }

    fn take_in_pax(&mut self, text: &[u8]) {
        for extension in PaxExtensions::new(text).flatten() {
            let value = extension.value_bytes().to_vec();
            match extension.key_bytes() {
                b"path" => self.name = Some(value),
                b"linkpath" => self.target = Some(value),
                // Not a number is a size that no entry has.
                b"size" => {
                    let size = extension.value().ok().and_then(|text| text.parse().ok());
                    self.size = Some(size.unwrap_or(u64::MAX));
                }
                _ => {}
            }
        }
    }
}

fn read(
    header: &Header,
    about: Extended,
    index: usize,
    size: u64,
) -> std::result::Result<Entry, String> {
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|error| {
            let shown = String::from_utf8_lossy(error.as_bytes())
                .escape_debug()
                .to_string();
            format!("the name {shown} is not UTF-8")
        })
    };
    let name = text(
        about
            .name
            .unwrap_or_else(|| header.path_bytes().into_owned()),
    )?;
    let target = about
        .target
        .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
        .unwrap_or_default();
    let kind = match header.entry_type() {
        // The oldest tar marks a folder by the slash at its end.
        EntryType::Regular | EntryType::Continuous if name.ends_with('/') => Kind::Folder,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Folder,
        EntryType::Symlink => Kind::Link(text(target)?),
        EntryType::Link => Kind::Same(text(target)?),
        _ => Kind::Other,
    };
    let mode = header.mode().map_err(|error| error.to_string())?;
    Ok(Entry {
        index,
        name,
        kind,
        mode,
        size,
    })
}

/// Whether a first block is a header of tar's without its mark: its sum is right.
pub(super) fn is_header(block: &[u8]) -> bool {
    if block.iter().all(|byte| *byte == 0) {
        return true;
    }
    let digits = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok()?;
        u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
    };
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            u64::from(if (148..156).contains(&at) {
                b' '
            } else {
                *byte
            })
        })
        .sum();
    digits(&block[148..156]) == Some(sum)
}
