//! The thread that unpacks: it reads, hashes and writes, and asks the step's side for each place, right
//! before it is used.

use std::io::{self, Read};

use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::archive::Archive;
use super::entry::Kind;
use super::extract::{Listing, Wanted, place};
use super::view::FilesView;
use crate::host::error::{Error, Result};
use crate::place::act::{self, Ownership};
use crate::place::planned::Thing;
use crate::place::{Observed, Place};
use crate::watch::Watch;

/// What the thread that unpacks asks for.
enum Ask {
    Place(String, oneshot::Sender<(Place, Observed)>),
    /// In check mode: what would stand there.
    Plan(String, Thing),
}

/// *Apply*. In check mode what would stand there is remembered instead.
pub(super) async fn apply(
    view: &mut FilesView<'_>,
    archive: Archive,
    destination: &str,
    different: Listing,
) -> Result<()> {
    let (asks, mut asked) = mpsc::channel(1);
    let unpacking = Unpacking {
        check: view.tree.check(),
        watch: archive.watch.clone(),
        asks,
        different,
    };
    let unpacked = tokio::task::spawn_blocking(move || unpacking.unpack(&archive));
    let mut refused = None;
    while let Some(ask) = asked.recv().await {
        let answered = match ask {
            Ask::Place(name, answer) => place(view, destination, &name).map(|place| {
                // Nobody waits for it when the thread has failed, which it tells itself.
                let _ = answer.send(place);
            }),
            Ask::Plan(name, thing) => place(view, destination, &name)
                .and_then(|(place, _)| view.tree.plan(&place.path, thing)),
        };
        if let Err(error) = answered {
            // The thread ends when it is not answered.
            refused = Some(error);
            break;
        }
    }
    drop(asked);
    let unpacked = unpacked.await.map_err(|error| Error::Trap(error.into()))?;
    match refused {
        Some(error) => Err(error),
        None => unpacked,
    }
}

/// The side that may block.
struct Unpacking {
    check: bool,
    watch: Watch,
    asks: mpsc::Sender<Ask>,
    different: Listing,
}

impl Unpacking {
    /// Folders from the top, files in the archive's order, then what refers to files.
    fn unpack(self, archive: &Archive) -> Result<()> {
        for (name, wanted) in self.of(|kind| *kind == Kind::Folder) {
            self.make(name, Thing::Directory { mode: wanted.mode }, |place, _| {
                act::make_folder(place, wanted.mode)
            })?;
        }
        archive.walk(
            &mut |named, content| match self.different.get(&named.name) {
                Some(wanted) if wanted.index == named.index && wanted.kind == Kind::File => {
                    self.file(archive, &named.name, wanted, content)
                }
                _ => Ok(()),
            },
        )?;
        for (name, wanted) in self.of(|kind| matches!(kind, Kind::Same(_))) {
            self.same(archive, name, wanted)?;
        }
        for (name, wanted) in self.of(|kind| matches!(kind, Kind::Link(_))) {
            let Kind::Link(target) = &wanted.kind else {
                continue;
            };
            let thing = Thing::Symlink {
                target: target.clone(),
            };
            self.make(name, thing, |place, observed| {
                act::link(place, target, matches!(observed, Observed::Symlink(..)))
            })?;
        }
        Ok(())
    }

    fn of(&self, kind: impl Fn(&Kind) -> bool) -> impl Iterator<Item = (&String, &Wanted)> {
        let wanted = move |(_, wanted): &(&String, &Wanted)| kind(&wanted.kind);
        self.different.iter().filter(wanted)
    }

    fn make(
        &self,
        name: &str,
        thing: Thing,
        act: impl FnOnce(&Place, &Observed) -> io::Result<()>,
    ) -> Result<()> {
        self.watch.still()?;
        if self.check {
            return self.ask(Ask::Plan(name.to_owned(), thing));
        }
        let (place, observed) = self.place(name)?;
        act(&place, &observed)
            .map_err(|error| Error::system(&format!("unpack {}", place.path), &error))
    }

    /// Another name of a file is a file of its own with the same content.
    fn same(&self, archive: &Archive, name: &str, wanted: &Wanted) -> Result<()> {
        let Kind::Same(of) = &wanted.kind else {
            return Ok(());
        };
        let mut first = of.as_str();
        // A name of a name leads to the file in the end, which stands before both.
        while let Some(Kind::Same(before)) = self.different.get(first).map(|other| &other.kind) {
            first = before;
        }
        let mut found = false;
        archive.walk(&mut |named, content| {
            let here = !found && named.name == *first && named.kind == Kind::File;
            if !here {
                return Ok(());
            }
            found = true;
            self.file(archive, name, wanted, content)
        })?;
        if found { Ok(()) } else { Err(changed(archive)) }
    }

    /// Makes one file, if it is still what was listed.
    fn file(
        &self,
        archive: &Archive,
        name: &str,
        wanted: &Wanted,
        content: &mut dyn Read,
    ) -> Result<()> {
        if self.check {
            let mut bytes = Vec::new();
            content
                .read_to_end(&mut bytes)
                .map_err(|error| archive.broken(&error))?;
            let thing = Thing::File {
                content: bytes,
                mode: wanted.mode,
            };
            return self.ask(Ask::Plan(name.to_owned(), thing));
        }
        let (place, observed) = self.place(name)?;
        let to = Ownership {
            mode: wanted.mode,
            owner: match observed {
                Observed::File(status) => Some((status.uid, status.gid)),
                _ => None,
            },
        };
        let mut verified = Verified {
            inner: content,
            hash: Sha256::new(),
            wanted: wanted.digest,
        };
        match act::replace_from(&place, &mut verified, to) {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .get_ref()
                    .and_then(|inner| inner.downcast_ref::<Changed>())
                    .is_some() =>
            {
                Err(changed(archive))
            }
            Err(error) => {
                self.watch.still()?;
                Err(Error::system(&format!("unpack {}", place.path), &error))
            }
        }
    }

    fn place(&self, name: &str) -> Result<(Place, Observed)> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Place(name.to_owned(), answer))?;
        answered.blocking_recv().map_err(|_| unanswered())
    }

    fn ask(&self, ask: Ask) -> Result<()> {
        self.asks.blocking_send(ask).map_err(|_| unanswered())
    }
}

/// The other side has its own reason and tells that, or the step is over and nobody is told.
fn unanswered() -> Error {
    Error::failed("the archive was not unpacked to its end")
}

fn changed(archive: &Archive) -> Error {
    Error::failed(format!(
        "{} changed while it was unpacked; unpack it again",
        archive.path
    ))
}

/// Passes content on, and at its end makes sure that it is what was listed: nothing else lands.
struct Verified<'a> {
    inner: &'a mut dyn Read,
    hash: Sha256,
    wanted: [u8; 32],
}

#[derive(Debug, thiserror::Error)]
#[error("the content is not what it was")]
struct Changed;

impl Read for Verified<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            if self.hash.clone().finalize()[..] != self.wanted {
                return Err(io::Error::other(Changed));
            }
        } else {
            self.hash.update(&buffer[..count]);
        }
        Ok(count)
    }
}
