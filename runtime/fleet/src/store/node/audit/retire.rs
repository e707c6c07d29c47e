//! Taking old files out of an audit on purpose. A record in the chain says up to where it begins no longer, by whom
//! and when, and carries the seal that the rest goes on from: what is left still verifies, and nobody takes files
//! that are merely gone for files that were retired.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use sloth_policy::bytes_of;
use sloth_workflow::event::timestamp;
use sloth_workflow::value::base16;

use super::chain::{End, Line, Sealed};
use super::damage::Damage;
use super::files::{Files, Now, lines};
use super::log::Log;
use super::verify::{Problem, verify};

/// How a record of retired files is called.
pub(super) const RETIRED: &str = "retired";

/// Up to where an audit was retired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// The last record that was.
    pub through: u64,
    /// Its seal, which the first that is left goes on from.
    seal: String,
    /// Who did it.
    pub by: String,
    /// What was wrong with it, where it was set aside for that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub damage: Option<Damage>,
    /// When.
    #[serde(skip_serializing, default)]
    pub time: String,
    /// The number of the record that says so, which must itself be part of what is left.
    #[serde(skip_serializing, default)]
    pub(super) number: u64,
}

/// What came of retiring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    pub files: Vec<PathBuf>,
    /// How many records they held.
    pub records: u64,
}

/// What a line must hold to be a record of retired files.
#[derive(Deserialize)]
struct Read {
    number: u64,
    kind: String,
    time: String,
    retired: Option<Retired>,
}

impl Retired {
    pub(super) fn of(through: u64, seal: String, by: String, damage: Option<Damage>) -> Self {
        Self {
            through,
            seal,
            by,
            damage,
            time: String::new(),
            number: 0,
        }
    }

    /// Where the chain goes on from.
    pub(super) fn end(&self) -> Option<End> {
        Some(End {
            number: self.through,
            hash: bytes_of(&self.seal)?,
        })
    }
}

/// The newest record of retired files in the chain.
pub(super) fn last(now: &Now) -> io::Result<Option<Retired>> {
    for path in now.files().rev() {
        let mut found = None;
        for line in now.lines(path)? {
            let (line, _) = line?;
            found = said(&line).or(found);
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// What the very first record says of damage that was accepted, where nothing was left of the chain before that could be
/// read: such a chain begins with 1 as a new one does.
pub(super) fn begun_over(now: &Now) -> io::Result<Option<Retired>> {
    let Some(path) = now.files().next() else {
        return Ok(None);
    };
    let first = now.lines(path)?.next().transpose()?;
    let retired = first.and_then(|(line, _)| said(&line));
    Ok(retired.filter(|retired| retired.through == 0 && retired.damage.is_some()))
}

/// What a line says of files that were retired; none if it is about anything else.
fn said(line: &str) -> Option<Retired> {
    if !line.contains("\"kind\":\"retired\"") {
        return None;
    }
    let read: Read = serde_json::from_str(line).ok()?;
    let retired = read.retired.filter(|_| read.kind == RETIRED)?;
    Some(Retired {
        time: read.time,
        number: read.number,
        ..retired
    })
}

/// Retires the full files whose records are all from before a moment; to a folder, or for good. The record of it is on
/// the disk before the first of them goes. Only an audit that verifies is retired: nobody gets rid of a change that
/// way.
pub fn retire(
    folder: &Path,
    before: SystemTime,
    to: Option<&Path>,
) -> io::Result<Result<Gone, Problem>> {
    if let Err(problem) = verify(folder)? {
        return Ok(Err(problem));
    }
    let log = Log::open(folder)?;
    let files = Files::make(folder)?;
    let mut gone = Gone::default();
    let mut end = End::default();
    // Without the lock: full files are never written again, and a file that fills meanwhile is too new.
    for path in files
        .all()?
        .into_iter()
        .filter(|path| *path != files.current())
    {
        let Some((last, records)) = read(&path, &timestamp(before))? else {
            break;
        };
        end = last;
        gone.records += records;
        gone.files.push(path);
    }
    if gone.files.is_empty() {
        return Ok(Ok(gone));
    }
    if let Some(to) = to {
        for path in &gone.files {
            keep(path, to)?;
        }
    }
    let by = operator();
    let subject = format!(
        "{} files with {} records up to {} were retired by {by}{}",
        gone.files.len(),
        gone.records,
        end.number,
        to.map_or_else(String::new, |to| format!(" to {}", to.display()))
    );
    let retired = Retired::of(end.number, base16(&end.hash), by, None);
    log.put(Line::own(RETIRED, subject).retiring(retired))?;
    let _lock = files.lock(FlockOperation::LockExclusive)?;
    // The oldest first, so that a crash in between leaves a chain without a gap.
    for path in &gone.files {
        fs::remove_file(path)?;
    }
    File::open(folder)?.sync_all()?;
    Ok(Ok(gone))
}

/// Whom this process acts for: its account, and who logged in where that is another.
pub(super) fn operator() -> String {
    let told = |id: u32| match sloth_sandbox::user_name(id) {
        Some(name) => format!("{name} (uid {id})"),
        None => format!("uid {id}"),
    };
    let own = rustix::process::getuid().as_raw();
    // The kernel remembers it through `su` and `sudo`; its highest number is nobody.
    let login = fs::read_to_string("/proc/self/loginuid").ok();
    let login = login.and_then(|text| text.trim().parse::<u32>().ok());
    match login.filter(|id| ![own, u32::MAX].contains(id)) {
        Some(login) => format!("{}, logged in as {}", told(own), told(login)),
        None => told(own),
    }
}

/// The end of a file and how many records it has; none if any of them is not from before.
fn read(path: &Path, before: &str) -> io::Result<Option<(End, u64)>> {
    let (mut last, mut records) = (None, 0);
    for line in lines(path)? {
        let (line, _) = line?;
        let Ok(Read { time, .. }) = serde_json::from_str(&line) else {
            return Ok(None);
        };
        // Written alike, moments sort as texts.
        if time.as_str() >= before {
            return Ok(None);
        }
        last = Sealed::read(&line).map(|sealed| sealed.end);
        records += 1;
    }
    Ok(last.map(|end| (end, records)))
}

/// Copies a file to where it is to be kept, and waits until it is there.
fn keep(path: &Path, to: &Path) -> io::Result<()> {
    let target = to.join(path.file_name().unwrap_or_default());
    let mut copy = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&target)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", target.display())))?;
    io::copy(&mut File::open(path)?, &mut copy)?;
    copy.flush()?;
    copy.sync_all()?;
    File::open(to)?.sync_all()
}
