//! Whether an audit is as it was written.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sloth_sandbox::ports::audit::Head;

use super::chain::{End, Sealed};
use super::files::{Files, Now};
use super::retire::{self, Retired};

/// What an audit holds, if nothing is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub files: usize,
    pub records: u64,
    /// The last line was being written when its writer ended. The next run cuts it off and says so.
    pub torn: bool,
    /// Up to where older records were taken out on purpose; none when all are there.
    pub retired: Option<Retired>,
    /// How many of the heads that somebody else knew were found.
    pub known: usize,
}

/// The first record that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// From 1.
    pub line: u64,
    /// A sentence without its subject, for people.
    pub what: String,
}

/// How often it is begun anew while files are taken out.
const RETRIES: u32 = 3;

/// Goes through the whole audit in a folder. Nothing there is an audit without records.
pub fn verify(folder: &Path) -> io::Result<Result<Verified, Problem>> {
    verify_against(folder, &[])
}

/// As [`verify`]; in addition the records that somebody else knew the audit to end with, at one time or another, must
/// all be there, but for those that were retired.
pub fn verify_against(folder: &Path, known: &[Head]) -> io::Result<Result<Verified, Problem>> {
    let known = Known::of(known);
    if !folder.is_dir() {
        let place = (folder.to_owned(), 0);
        return Ok(known
            .missing(0)
            .map_or_else(|| Ok(Verified::default()), |what| Err(problem(place, what))));
    }
    let files = Files {
        folder: folder.to_owned(),
    };
    // The runs go on meanwhile. Only who retires files takes any away, and then it begins anew.
    for _ in 0..RETRIES {
        match verified_against(&files.now()?, &known) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
    }
    verified_against(&files.now()?, &known)
}

/// As [`verify`], of an audit at one moment.
pub(super) fn verified(now: &Now) -> io::Result<Result<Verified, Problem>> {
    verified_against(now, &Known::default())
}

/// What somebody else knows of an audit: the seals of records by their numbers.
#[derive(Default)]
struct Known(BTreeMap<u64, Vec<[u8; 32]>>);

impl Known {
    fn of(heads: &[Head]) -> Self {
        let mut known = Self::default();
        for head in heads {
            known.0.entry(head.number).or_default().push(head.hash);
        }
        known
    }

    /// How many say what a record is; an error if one says another.
    fn holds(&self, end: &End) -> Result<usize, String> {
        let hashes = self.0.get(&end.number).map_or(&[][..], Vec::as_slice);
        if hashes.iter().all(|hash| *hash == end.hash) {
            return Ok(hashes.len());
        }
        Err(format!(
            "record {} is another than the master was told of",
            end.number
        ))
    }

    /// What should stand behind the last record.
    fn missing(&self, last: u64) -> Option<String> {
        let (highest, _) = self.0.last_key_value()?;
        (*highest > last).then(|| {
            let missing = range(last + 1, *highest);
            format!("{missing} missing at the end, of which the master was told")
        })
    }
}

fn verified_against(now: &Now, known: &Known) -> io::Result<Result<Verified, Problem>> {
    let mut verified = Verified::default();
    let mut end = End::default();
    if now.begins()? {
        verified.retired = retire::begun_over(now)?;
    } else {
        // Where the first records are not there, a later one must say that they were taken out.
        let retired = retire::last(now)?;
        if let Some(through) = retired.as_ref().and_then(Retired::end) {
            end = through;
            verified.retired = retired;
        }
    }
    let mut place = (now.path.clone(), 0);
    match known.holds(&end) {
        Ok(found) => verified.known += found,
        Err(what) => return Ok(Err(problem(place, what))),
    }
    // Whether the record of what was retired is itself as it was written.
    let mut said = verified.retired.is_none();
    for path in now.files() {
        // Left over where retiring was cut short after its record was written.
        if path != now.path
            && verified.retired.is_some()
            && now.first_of(path)?.is_some_and(|first| first <= end.number)
        {
            continue;
        }
        verified.files += 1;
        for (index, line) in now.lines(path)?.enumerate() {
            let (line, whole) = line?;
            place = (path.to_owned(), index as u64 + 1);
            if !whole && path == now.path {
                verified.torn = true;
                break;
            }
            match judged(&line, &end) {
                Ok(next) => end = next,
                Err(what) => return Ok(Err(problem(place, what))),
            }
            if (now.end.as_ref())
                .is_some_and(|said| said.number == end.number && said.hash != end.hash)
            {
                let what = "the last record is another than was written".to_owned();
                return Ok(Err(problem(place, what)));
            }
            match known.holds(&end) {
                Ok(found) => verified.known += found,
                Err(what) => return Ok(Err(problem(place, what))),
            }
            verified.records += 1;
            said |= verified
                .retired
                .as_ref()
                .is_some_and(|retired| retired.number == end.number);
        }
    }
    if !said {
        let what = "the record of what was retired is not among what is left".to_owned();
        return Ok(Err(problem(place, what)));
    }
    if let Some(should) = &now.end {
        if should.number > end.number {
            let what = format!(
                "records {} to {} are missing at the end",
                end.number + 1,
                should.number
            );
            return Ok(Err(problem(place, what)));
        }
    } else if end.number > 0 {
        let what = "the file `end`, which says where the audit ends, is missing".to_owned();
        return Ok(Err(problem(place, what)));
    }
    if let Some(what) = known.missing(end.number) {
        return Ok(Err(problem(place, what)));
    }
    Ok(Ok(verified))
}

fn problem((file, line): (PathBuf, u64), what: String) -> Problem {
    Problem { file, line, what }
}

fn judged(line: &str, before: &End) -> Result<End, String> {
    let Some(sealed) = Sealed::read(line) else {
        return Err("is no record".to_owned());
    };
    let (number, expected) = (sealed.end.number, before.number + 1);
    if sealed.follows(before) && number == expected {
        return Ok(sealed.end);
    }
    Err(match number {
        _ if number > expected && before.number == 0 => format!(
            "is record {number}, and no record says that those before it were retired: {} missing",
            range(expected, number - 1)
        ),
        _ if number > expected => format!(
            "is record {number}, but the one before it is {}: {} missing",
            before.number,
            range(expected, number - 1)
        ),
        _ if number < expected => {
            format!(
                "is record {number}, but stands behind record {}: moved or added",
                before.number
            )
        }
        _ => format!("record {number} was changed, or the one before it"),
    })
}

fn range(first: u64, last: u64) -> String {
    if first == last {
        format!("record {first} is")
    } else {
        format!("records {first} to {last} are")
    }
}
