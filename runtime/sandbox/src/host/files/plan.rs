//! What would change, from what is observed and what is desired. Pure; `None` is “already so”.

use std::fmt::Write;

use similar::TextDiff;

use crate::bindings::sloth::host::types;
use crate::place::Observed;

/// Largest content that is diffed, in bytes.
const MAX_DIFF: usize = 1 << 20;

/// Most names of an archive that are told.
const MAX_NAMES: usize = 1000;

/// A change that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) summary: String,
    pub(crate) diff: Option<String>,
}

impl Change {
    pub(crate) fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            diff: None,
        }
    }

    pub(crate) fn with_diff(mut self, diff: Option<String>) -> Self {
        self.diff = diff;
        self
    }

    pub(crate) fn done(self) -> types::Change {
        types::Change {
            changed: true,
            summary: self.summary,
            diff: self.diff,
        }
    }
}

/// What the guest gets when everything already was so.
pub(crate) fn nothing(path: &str) -> types::Change {
    types::Change {
        changed: false,
        summary: format!("{path} is already so"),
        diff: None,
    }
}

/// A file is to have this content and, if given, these permission bits.
pub(crate) fn write(
    path: &str,
    observed: &Observed,
    same_content: bool,
    size: usize,
    mode: Option<u32>,
) -> Option<Change> {
    match observed {
        Observed::File(status) => {
            let mode = mode.filter(|mode| *mode != status.mode);
            match (same_content, mode) {
                (true, None) => None,
                (true, Some(mode)) => Some(Change::new(format!("set mode {mode:04o} on {path}"))),
                (false, _) => Some(Change::new(format!("write {path} ({size} bytes)"))),
            }
        }
        _ => Some(Change::new(format!("create {path} ({size} bytes)"))),
    }
}

pub(crate) fn chmod(path: &str, now: u32, wanted: u32) -> Option<Change> {
    (now != wanted).then(|| Change::new(format!("set mode {wanted:04o} on {path}, was {now:04o}")))
}

pub(crate) fn chown(
    path: &str,
    now: (u32, u32),
    uid: Option<u32>,
    gid: Option<u32>,
) -> Option<Change> {
    let wanted = (uid.unwrap_or(now.0), gid.unwrap_or(now.1));
    (now != wanted).then(|| {
        Change::new(format!(
            "set owner {}:{} on {path}, was {}:{}",
            wanted.0, wanted.1, now.0, now.1
        ))
    })
}

pub(crate) fn link(path: &str, observed: &Observed, target: &str) -> Option<Change> {
    match observed {
        Observed::Symlink(_, now) if now == target => None,
        _ => Some(Change::new(format!("link {path} to {target}"))),
    }
}

/// A name that is unpacked.
pub(crate) struct Unpacked<'a> {
    pub(crate) name: &'a str,
    pub(crate) size: u64,
    pub(crate) new: bool,
}

pub(crate) fn extract(
    archive: &str,
    destination: &str,
    different: &[Unpacked<'_>],
    of: usize,
) -> Change {
    Change::new(format!(
        "unpack {archive} into {destination} ({} of {of} entries)",
        different.len()
    ))
}

/// What is unpacked in place of a diff: new names and changed ones.
pub(crate) fn names(destination: &str, different: &[Unpacked<'_>]) -> String {
    let mut text = format!("--- {destination}\n+++ {destination}\n");
    for one in different.iter().take(MAX_NAMES) {
        let sign = if one.new { '+' } else { '~' };
        let _ = writeln!(text, "{sign}{} ({} bytes)", one.name, one.size);
    }
    if let Some(more) = different.len().checked_sub(MAX_NAMES + 1) {
        let _ = writeln!(text, " and {} more", more + 1);
    }
    text
}

/// A unified diff of two texts; none for bytes and for large ones.
pub(crate) fn diff(path: &str, before: &[u8], after: &[u8]) -> Option<String> {
    if before.len() > MAX_DIFF || after.len() > MAX_DIFF {
        return None;
    }
    let before = std::str::from_utf8(before).ok()?;
    let after = std::str::from_utf8(after).ok()?;
    // A diff that takes longer is coarser, not later.
    let diff = TextDiff::configure()
        .timeout(std::time::Duration::from_millis(300))
        .diff_lines(before, after);
    Some(
        diff.unified_diff()
            .context_radius(3)
            .header(path, path)
            .to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::observe::Status;

    fn file(mode: u32) -> Observed {
        Observed::File(Status {
            size: 3,
            mode,
            uid: 0,
            gid: 0,
            modified: 0,
            names: 1,
        })
    }

    #[test]
    fn a_file_that_is_already_so_needs_no_change() {
        assert_eq!(write("/x", &file(0o644), true, 3, Some(0o644)), None);
        assert_eq!(write("/x", &file(0o600), true, 3, None), None);
    }

    #[test]
    fn a_different_mode_alone_is_a_change() {
        let change = write("/x", &file(0o600), true, 3, Some(0o644)).unwrap();
        assert_eq!(change.summary, "set mode 0644 on /x");
        assert_eq!(
            write("/x", &file(0o644), false, 3, None).unwrap().summary,
            "write /x (3 bytes)"
        );
        assert_eq!(
            write("/x", &Observed::Missing, false, 3, None)
                .unwrap()
                .summary,
            "create /x (3 bytes)"
        );
    }

    #[test]
    fn ownership_asked_for_in_part_keeps_the_other_part() {
        assert_eq!(chown("/x", (1, 2), Some(1), None), None);
        assert_eq!(
            chown("/x", (1, 2), None, Some(3)).unwrap().summary,
            "set owner 1:3 on /x, was 1:2"
        );
    }

    #[test]
    fn bytes_have_no_diff() {
        assert_eq!(diff("/x", b"a\n", &[0xff]), None);
        assert!(diff("/x", b"a\n", b"b\n").unwrap().contains("-a\n+b\n"));
    }
}
