//! Setting a damaged audit aside on purpose. Its files are kept as they are, in a folder of their own; the first record of
//! the chain that begins then carries the old chain's head and says what was wrong, who accepted it and where it is kept.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use sloth_workflow::event::timestamp;
use sloth_workflow::value::base16;

use super::chain::{End, Line};
use super::files::{Files, written};
use super::retire::{RETIRED, Retired, operator};
use super::verify::verified;

/// Numbers above are no audit's: that many records never were.
const MOST_RECORDS: u64 = 1 << 53;

/// What was wrong with an audit that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The name of the file that the first wrong record is in.
    pub file: String,
    /// From 1.
    pub line: u64,
    /// A sentence without its subject, for people.
    pub what: String,
    /// Where the files are kept.
    pub kept: PathBuf,
}

/// Sets an audit aside that does not verify; none for one that does, which is left as it is. Who writes meanwhile waits,
/// and goes on behind the record of it.
///
/// Until the last step the chain's end is still where it was, so that a crash in between leaves an audit that does not
/// verify, and never one that seems to be new.
pub fn accept_damage(folder: &Path) -> io::Result<Option<Damage>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let files = Files {
        folder: folder.to_owned(),
    };
    let _lock = files.lock(FlockOperation::LockExclusive)?;
    let Err(problem) = verified(&files.held()?)? else {
        return Ok(None);
    };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_owned();
    let kept = aside(folder)?;
    let damage = Damage {
        file: name(&problem.file).to_string_lossy().into_owned(),
        line: problem.line,
        what: problem.what,
        kept: kept.clone(),
    };
    let head = head(&files)?;
    let next = folder.join("audit.next");
    let mut end = head.clone();
    put(&next, &record(&damage, &head, &mut end)?)?;
    // Kept with the rest, and left in its place.
    if let Ok(said) = fs::read_to_string(files.mark_file()) {
        put(&kept.join("end"), &said)?;
    }
    for path in files.all()? {
        fs::rename(&path, kept.join(name(&path)))?;
    }
    fs::rename(&next, files.current())?;
    File::open(&kept)?.sync_all()?;
    File::open(folder)?.sync_all()?;
    let mark = folder.join("end.next");
    put(&mark, &written(&end))?;
    fs::rename(&mark, files.mark_file())?;
    File::open(folder)?.sync_all()?;
    Ok(Some(damage))
}

/// Where the old chain ended: as it was marked, else as far as it can be read.
fn head(files: &Files) -> io::Result<End> {
    let is_one = |end: &End| end.number < MOST_RECORDS;
    if let Some(marked) = files.end().ok().flatten().filter(is_one) {
        return Ok(marked);
    }
    for path in files.all()?.iter().rev() {
        if let Some(end) = super::files::tail(&mut File::open(path)?)?
            .end
            .filter(is_one)
        {
            return Ok(end);
        }
    }
    Ok(End::default())
}

fn record(damage: &Damage, head: &End, end: &mut End) -> io::Result<String> {
    let by = operator();
    let subject = format!(
        "the audit up to {} does not verify ({}:{}: {}) and was set aside by {by} in {}",
        head.number,
        damage.file,
        damage.line,
        damage.what,
        damage.kept.display()
    );
    let retired = Retired::of(head.number, base16(&head.hash), by, Some(damage.clone()));
    let mut text = String::new();
    Line::own(RETIRED, subject)
        .retiring(retired)
        .seal(end, &mut text)?;
    Ok(text)
}

/// A folder of its own for what is set aside now.
fn aside(folder: &Path) -> io::Result<PathBuf> {
    let time = timestamp(SystemTime::now()).replace(':', "");
    let kept = folder.join(format!("damaged-{time}"));
    DirBuilder::new().mode(0o700).create(&kept)?;
    Ok(kept)
}

/// Writes a file anew and waits until it is there.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
