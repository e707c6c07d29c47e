//! A file that takes an answer's body: where it is and what it is to be.

use std::io;

use sha2::{Digest, Sha256};
use sloth_workflow::value::base16;

use crate::bindings::sloth::host::http::Destination;
use crate::host::error::{Error, Result};
use crate::host::files::mode;
use crate::place::act::Ownership;
use crate::place::{Observed, Permitted, Place, observe};

/// A permitted place, and what stands there.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) place: Place,
    pub(super) create_only: bool,
    pub(super) to: Ownership,
    /// What stands there, with its permission bits: content that check mode remembers, or a size.
    pub(super) before: Option<Before>,
    /// 64 hexadecimal digits in small letters.
    pub(super) sha256: Option<String>,
}

/// The file that is there.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) size: u64,
    pub(super) mode: u32,
    /// Its digest, if check mode only remembers it.
    pub(super) planned: Option<String>,
}

impl Target {
    pub(super) fn of(
        permitted: Permitted,
        observed: &Observed,
        planned: Option<Vec<u8>>,
        asked: &Destination,
    ) -> Result<Self> {
        let before = match observed {
            Observed::Missing => None,
            Observed::File(status) => Some(Before {
                size: status.size,
                mode: status.mode,
                planned: planned.map(|content| base16(&Sha256::digest(content))),
            }),
            other => {
                return Err(Error::wrong_kind(format!(
                    "{} is {}, not a file",
                    permitted.place.path,
                    other.word()
                )));
            }
        };
        let status = observed.status();
        Ok(Self {
            place: permitted.place,
            create_only: permitted.create_only,
            to: Ownership {
                mode: asked
                    .mode
                    .map(mode::of_file)
                    .transpose()?
                    .or(status.map(|status| mode::kept(status.mode)))
                    .unwrap_or(0o644),
                owner: status.map(|status| (status.uid, status.gid)),
            },
            before,
            sha256: asked.sha256.as_deref().map(digits).transpose()?,
        })
    }

    /// Whether the file has its digest already. Takes as long as reading it does.
    pub(super) fn is_so(&self) -> io::Result<bool> {
        match &self.sha256 {
            Some(digest) => self.has(digest, None),
            None => Ok(false),
        }
    }

    /// Whether the file that is there has this digest, the wanted mode and, where it is known, the size.
    pub(super) fn has(&self, digest: &str, size: Option<u64>) -> io::Result<bool> {
        let Some(before) = &self.before else {
            return Ok(false);
        };
        if before.mode != self.to.mode || size.is_some_and(|size| size != before.size) {
            return Ok(false);
        }
        match &before.planned {
            Some(planned) => Ok(planned == digest),
            None => match digest_of(&self.place) {
                // Gone by now, or in check mode only to come, and too long to remember.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                found => Ok(found? == digest),
            },
        }
    }
}

fn digest_of(place: &Place) -> io::Result<String> {
    let mut file = observe::open_file(place)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(base16(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn digits(text: &str) -> Result<String> {
    if text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(Error::invalid("`sha256` is not 64 hexadecimal digits"))
    }
}
