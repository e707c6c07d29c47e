//! Contents: bundles and artifacts, each a file named by its digest. A file has its name only once it is whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use sloth_sandbox::ports::Problem;
use sloth_workflow::Untrusted;
use sloth_workflow::value::base16;

use super::error::{Error, Failure};
use super::{Store, runs};
use crate::store::file::{count, milliseconds};

/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// Where contents stand beneath their folder, and where they are while they come.
const WHOLE: &str = "sha256";
const COMING: &str = "coming";

/// A content that comes. Dropped before its end, it leaves nothing.
#[derive(Debug)]
pub struct Upload {
    /// Taken while it is written.
    coming: Option<Coming>,
    folder: PathBuf,
    digest: String,
    size: u64,
}

#[derive(Debug)]
struct Coming {
    file: File,
    path: PathBuf,
    hash: Sha256,
    size: u64,
}

/// A content that is read, piece by piece.
#[derive(Debug)]
pub struct Content {
    file: Option<File>,
    digest: String,
    /// In bytes.
    pub size: u64,
}

impl Store {
    /// Begins to take a content of a known digest (64 hexadecimal digits) and size, of at most `limit` bytes.
    pub async fn receive(&self, digest: &str, size: u64, limit: u64) -> Result<Upload, Error> {
        if size > limit {
            return Err(Error::TooLarge { size, limit });
        }
        check_digest(digest)?;
        let folder = self.contents.clone();
        let coming = blocking(&self.contents, move || Coming::begin(&folder)).await?;
        Ok(Upload {
            coming: Some(coming),
            folder: self.contents.clone(),
            digest: digest.to_owned(),
            size,
        })
    }

    /// Keeps what came, if it is what was announced, and notes the operator who sent it. Keeping it again is no error.
    pub async fn keep(
        &self,
        mut upload: Upload,
        sender: Option<String>,
        now: SystemTime,
    ) -> Result<(), Error> {
        let coming = upload.coming.take().ok_or(Error::Defect("keep"))?;
        let (digest, size) = (upload.digest.clone(), upload.size);
        let coming = coming.verified(&digest, size)?;
        let folder = self.contents.clone();
        // The disk has the bytes before they have a name.
        let coming = blocking(&folder, move || coming.synced()).await?;
        self.write("keep", move |writing| {
            let known = size_of(writing.connection, &digest)?;
            if known.is_none() || !place(&folder, &digest).exists() {
                // Here and not before, so that it does not cross with what goes.
                coming
                    .name(&folder, &digest)
                    .map_err(|error| Failure::Said(problem(&folder, &error)))?;
            }
            writing
                .connection
                .prepare_cached(
                    "INSERT INTO content (digest, size, kept) VALUES (?1, ?2, ?3)
                     ON CONFLICT (digest) DO UPDATE SET kept = excluded.kept",
                )?
                .execute(params![
                    digest,
                    i64::try_from(size).unwrap_or(i64::MAX),
                    milliseconds(now)
                ])?;
            if let Some(sender) = sender {
                writing
                    .connection
                    .prepare_cached(
                        "INSERT INTO content_sender (digest, sender) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![digest, sender])?;
            }
            Ok(())
        })
        .await
    }

    /// Whether an operator has sent a content that is kept.
    pub async fn has_sent(&self, sender: &str, digest: &str) -> Result<bool, Error> {
        let (sender, digest) = (sender.to_owned(), digest.to_owned());
        self.read("has_sent", move |connection| {
            Ok(is_sender(connection, &digest, &sender)?)
        })
        .await
    }

    /// Whether an operator has sent a content that is kept, which then counts as kept from now on.
    pub async fn sent_again(
        &self,
        sender: &str,
        digest: &str,
        now: SystemTime,
    ) -> Result<bool, Error> {
        if !self.has_sent(sender, digest).await? {
            return Ok(false);
        }
        let (digest, folder) = (digest.to_owned(), self.contents.clone());
        self.write("sent_again", move |writing| {
            // Its file may have been lost, and then it has to come again.
            let kept = place(&folder, &digest).exists()
                && writing
                    .connection
                    .prepare_cached("UPDATE content SET kept = ?2 WHERE digest = ?1")?
                    .execute(params![digest, milliseconds(now)])?
                    > 0;
            Ok(kept)
        })
        .await
    }

    /// The size of a content; none if it is not kept.
    pub async fn content_size(&self, digest: &str) -> Result<Option<u64>, Error> {
        let digest = digest.to_owned();
        self.read("content_size", move |connection| {
            Ok(size_of(connection, &digest)?)
        })
        .await
    }

    /// Notes that a run that goes on needs a content: it stays as long as the run does. Refused where that makes more
    /// than `most` bytes of all that the run needs.
    pub async fn use_content(&self, run: &str, digest: &str, most: u64) -> Result<(), Error> {
        let (run, digest) = (run.to_owned(), digest.to_owned());
        self.write("use_content", move |writing| {
            let connection = writing.connection;
            let sequence = runs::sequence(connection, &run)?;
            if runs::has_ended(connection, sequence)? {
                return Err(Failure::Said(Error::RunEnded(run.into())));
            }
            note_use(connection, sequence, &digest)?;
            let size = used(connection, sequence)?;
            if size > most {
                // The whole request is rolled back.
                return Err(Failure::Said(Error::TooLarge { size, limit: most }));
            }
            Ok(())
        })
        .await
    }

    /// Whether a run needs a content: only then may those who take part in it have it.
    pub async fn uses_content(&self, run: &str, digest: &str) -> Result<bool, Error> {
        let (run, digest) = (run.to_owned(), digest.to_owned());
        self.read("uses_content", move |connection| {
            let sequence = runs::sequence(connection, &run)?;
            Ok(connection
                .prepare_cached("SELECT 1 FROM content_use WHERE digest = ?1 AND run = ?2")?
                .exists(params![digest, sequence])?)
        })
        .await
    }

    /// Bytes of all contents that a run needs.
    pub async fn contents_size(&self, run: &str) -> Result<u64, Error> {
        let run = run.to_owned();
        self.read("contents_size", move |connection| {
            let sequence = runs::sequence(connection, &run)?;
            Ok(used(connection, sequence)?)
        })
        .await
    }

    /// A content of at most `most` bytes as a whole; if somebody is named, one that he has sent.
    pub async fn whole_content(
        &self,
        digest: &str,
        sender: Option<&str>,
        most: u64,
    ) -> Result<Vec<u8>, Error> {
        let (digest, sender) = (digest.to_owned(), sender.map(str::to_owned));
        let folder = self.contents.clone();
        self.read("whole_content", move |connection| {
            let missing = || Failure::Said(Error::NoContent(Untrusted::new(&*digest).escaped()));
            if let Some(sender) = &sender
                && !is_sender(connection, &digest, sender)?
            {
                return Err(missing());
            }
            let size = size_of(connection, &digest)?.ok_or_else(missing)?;
            if size > most {
                return Err(Failure::Said(Error::TooLarge { size, limit: most }));
            }
            let path = place(&folder, &digest);
            match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
                read => read.map_err(|error| Failure::Said(problem(&folder, &error))),
            }
        })
        .await
    }

    /// Opens a content.
    pub async fn content(&self, digest: &str) -> Result<Content, Error> {
        let missing = || Error::NoContent(Untrusted::new(digest).escaped());
        let size = self.content_size(digest).await?.ok_or_else(missing)?;
        let path = place(&self.contents, digest);
        let file = blocking(&self.contents, move || match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        })
        .await?;
        Ok(Content {
            file: Some(file.ok_or_else(missing)?),
            digest: digest.to_owned(),
            size,
        })
    }

    /// Removes what was coming when the last process ended.
    pub(super) fn clear_uploads(&self) {
        // What cannot be removed takes room and does no harm; a folder that is not there is clear.
        let _ = fs::remove_dir_all(self.contents.join(COMING));
    }
}

impl Upload {
    /// Takes the next piece.
    pub async fn write(&mut self, piece: Vec<u8>) -> Result<(), Error> {
        let mut coming = self.coming.take().ok_or(Error::Defect("write"))?;
        let came = coming.size + u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if came > self.size {
            return Err(torn(&self.digest, "more came than was announced"));
        }
        let coming = blocking(&self.folder, move || {
            coming.file.write_all(&piece)?;
            coming.hash.update(&piece);
            coming.size = came;
            Ok(coming)
        })
        .await?;
        self.coming = Some(coming);
        Ok(())
    }
}

impl Content {
    /// The next piece; none at the end.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut file = self.file.take().ok_or(Error::Defect("piece"))?;
        let named = PathBuf::from(&self.digest);
        let (file, piece) = blocking(&named, move || {
            let mut piece = vec![0; PIECE];
            let mut filled = 0;
            while filled < piece.len() {
                match file.read(&mut piece[filled..])? {
                    0 => break,
                    read => filled += read,
                }
            }
            piece.truncate(filled);
            Ok((file, piece))
        })
        .await?;
        self.file = Some(file);
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

impl Coming {
    fn begin(folder: &Path) -> io::Result<Self> {
        let coming = folder.join(COMING);
        make_folder(&coming)?;
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let path = coming.join(base16(&random));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self {
            file,
            path,
            hash: Sha256::new(),
            size: 0,
        })
    }

    fn verified(self, digest: &str, size: u64) -> Result<Self, Error> {
        if self.size != size {
            return Err(torn(digest, "less came than was announced"));
        }
        if base16(&self.hash.clone().finalize()) != digest {
            return Err(torn(digest, "its bytes have another digest"));
        }
        Ok(self)
    }

    fn synced(self) -> io::Result<Self> {
        self.file.sync_all()?;
        Ok(self)
    }

    /// Gives the file its name, for good.
    fn name(&self, folder: &Path, digest: &str) -> io::Result<()> {
        make_folder(&folder.join(WHOLE))?;
        fs::rename(&self.path, place(folder, digest))?;
        File::open(folder.join(WHOLE))?.sync_all()
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        // After it has its name there is nothing here any more.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the file of a content that is not kept any more.
pub(super) fn remove(folder: &Path, digest: &str) -> io::Result<()> {
    match fs::remove_file(place(folder, digest)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Bytes of all contents that a run needs.
fn used(connection: &Connection, run: i64) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT coalesce(sum(size), 0) FROM content_use JOIN content USING (digest)
             WHERE run = ?1",
        )?
        .query_row([run], |row| count(row, 0))
}

pub(super) fn note_use(connection: &Connection, run: i64, digest: &str) -> Result<(), Failure> {
    if size_of(connection, digest)?.is_none() {
        let digest = Untrusted::new(digest).escaped();
        return Err(Failure::Said(Error::NoContent(digest)));
    }
    connection
        .prepare_cached(
            "INSERT INTO content_use (digest, run) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )?
        .execute(params![digest, run])?;
    Ok(())
}

fn is_sender(connection: &Connection, digest: &str, sender: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM content_sender WHERE digest = ?1 AND sender = ?2")?
        .exists(params![digest, sender])
}

fn size_of(connection: &Connection, digest: &str) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT size FROM content WHERE digest = ?1")?
        .query_row([digest], |row| count(row, 0))
        .optional()
}

/// A digest becomes a file's name: nothing but digits may.
fn check_digest(digest: &str) -> Result<(), Error> {
    let digits = digest.len() == 64
        && digest
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if digits {
        Ok(())
    } else {
        let digest = Untrusted::new(digest).escaped();
        Err(torn(&digest, "its name is not 64 hexadecimal digits"))
    }
}

fn torn(digest: &str, problem: &'static str) -> Error {
    Error::Torn {
        digest: digest.to_owned(),
        problem,
    }
}

fn place(folder: &Path, digest: &str) -> PathBuf {
    folder.join(WHOLE).join(digest)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

async fn blocking<T: Send + 'static>(
    place: &Path,
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done.map_err(|error| problem(place, &error)),
        Err(_) => Err(Error::Defect("a content's file")),
    }
}

fn problem(place: &Path, error: &io::Error) -> Error {
    let place = Untrusted::new(place.to_string_lossy()).escaped();
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full; make room and try again"
        }
        _ => "see to its owner, its mode and its disk",
    };
    Error::Unusable(Problem(format!(
        "failed to use the contents in {place}: {error}: {remedy}"
    )))
}
