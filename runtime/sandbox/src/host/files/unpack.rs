//! The thread that unpacks: it reads, hashes and writes, and asks the step's side for each place, right
//! before it is used.

use std::collections::BTreeMap;
use std::io::{self, Read};

use hyper::body::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::archive::Archive;
use super::entry::Kind;
use super::extract::place;
use super::listing::{Listing, Wanted};
use super::many::Watched;
use super::view::FilesView;
use crate::host::error::{Error, Result};
use crate::place::act::{self, Ownership};
use crate::place::planned::{Room, Thing};
use crate::place::{Observed, Place, observe};
use crate::watch::Watch;

/// What the thread that unpacks asks for.
enum Ask {
    Place(String, oneshot::Sender<(Place, Observed)>),
    /// In check mode: room to remember so many bytes.
    Room(u64, oneshot::Sender<Option<Room>>),
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
            Ask::Room(bytes, answer) => view.tree.room(bytes).map(|room| {
                let _ = answer.send(room);
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
        // A file may stand at several names, each a file of its own.
        let mut names: BTreeMap<usize, Vec<(&String, &Wanted)>> = BTreeMap::new();
        for (name, wanted) in self.of(|kind| *kind == Kind::File) {
            names.entry(wanted.index).or_default().push((name, wanted));
        }
        archive.walk(&mut |named, content| {
            let names = names.get(&named.index).map(Vec::as_slice);
            match names.unwrap_or_default().split_first() {
                Some((first, others)) => self.file(archive, first, others, content),
                None => Ok(()),
            }
        })?;
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

    /// Makes one file at all its names, if it is still what was listed.
    fn file(
        &self,
        archive: &Archive,
        (name, wanted): &(&String, &Wanted),
        others: &[(&String, &Wanted)],
        content: &mut dyn Read,
    ) -> Result<()> {
        let content = &mut Verified::of(content, wanted.digest);
        if self.check {
            let content = self.remembered(archive, wanted, content)?;
            for (name, wanted) in std::iter::once(&(*name, *wanted)).chain(others) {
                let (content, mode) = (content.clone(), wanted.mode);
                self.ask(Ask::Plan((*name).clone(), Thing::File { content, mode }))?;
            }
            return Ok(());
        }
        self.put(archive, name, wanted, content)?;
        for (other, wanted) in others {
            self.watch.still()?;
            let (first, _) = self.place(name)?;
            let file = observe::open_file(&first)
                .map_err(|error| Error::system(&format!("read {}", first.path), &error))?;
            let mut file = Watched {
                file,
                watch: self.watch.clone(),
            };
            let content = &mut Verified::of(&mut file, wanted.digest);
            self.put(archive, other, wanted, content)?;
        }
        Ok(())
    }

    /// A content as check mode keeps it, read once there is room for it.
    fn remembered(
        &self,
        archive: &Archive,
        wanted: &Wanted,
        content: &mut Verified<'_>,
    ) -> Result<Bytes> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Room(wanted.size, answer))?;
        // Until it is read: then it takes the room itself.
        let _room = answered.blocking_recv().map_err(|_| unanswered())?;
        let mut bytes = Vec::new();
        // One byte more is one that was not listed, and its end is what is verified.
        let read = content.take(wanted.size + 1).read_to_end(&mut bytes);
        match read {
            Ok(count) if count as u64 == wanted.size => Ok(bytes.into()),
            Err(error) if !is_changed(&error) => Err(archive.broken(&error)),
            _ => Err(changed(archive)),
        }
    }

    fn put(
        &self,
        archive: &Archive,
        name: &str,
        wanted: &Wanted,
        content: &mut Verified<'_>,
    ) -> Result<()> {
        let (place, observed) = self.place(name)?;
        let to = Ownership {
            mode: wanted.mode,
            owner: match observed {
                Observed::File(status) => Some((status.uid, status.gid)),
                _ => None,
            },
        };
        match act::replace_from(&place, content, to) {
            Ok(_) => Ok(()),
            Err(error) if is_changed(&error) => Err(changed(archive)),
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

fn is_changed(error: &io::Error) -> bool {
    let inner = error.get_ref();
    inner.is_some_and(|inner| inner.downcast_ref::<Changed>().is_some())
}

impl<'a> Verified<'a> {
    fn of(inner: &'a mut dyn Read, wanted: [u8; 32]) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            wanted,
        }
    }
}

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
