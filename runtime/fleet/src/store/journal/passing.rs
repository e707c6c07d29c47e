//! Where the session of an operator's own machine keeps its journal: a folder for each run, which goes with it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sloth_sandbox::ports::Problem;
use sloth_workflow::Untrusted;

use super::contents::digits;
use super::file;
use super::journal::FILE;
use crate::wire::assign::is_run;

/// How long the folder of a session that was killed is kept: until then its run may be taken up again.
const KEPT: Duration = Duration::from_hours(24);

/// The folder of one session.
#[derive(Debug)]
pub struct Passing {
    folder: PathBuf,
}

impl Passing {
    /// The folder for a run's session, beneath the data folder. Removes those that were left by sessions that were
    /// killed long ago. None where another session of the run is at work. Blocks.
    pub fn beneath(data: &Path, run: &str) -> Result<Option<Self>, Problem> {
        // A master gave it, and it becomes the name of a folder that is removed.
        if !is_run(run) {
            let run = Untrusted::new(run).escaped();
            return Err(Problem(format!(
                "the master calls the run `{run}`, which is no run's id"
            )));
        }
        let all = data.join("sessions");
        let folder = all.join(run);
        sweep(&all, &folder);
        let free = file::try_lock(&folder.join(FILE))?.is_some();
        Ok(free.then_some(Self { folder }))
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The digest of the bundle that was submitted from this machine when the run was: this one, unless an earlier
    /// session of the run was given another. The same file submitted once more is another bundle, by its time of start.
    pub fn bundle(&self, digest: &str) -> Result<String, Problem> {
        let file = self.folder.join("bundle");
        let problem = |error: std::io::Error| Problem(format!("{}: {error}", file.display()));
        match fs::read_to_string(&file) {
            // One that was cut off while it was written is none.
            Ok(known) if digits(&known).is_some() => return Ok(known),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(problem(error));
            }
            _ => {}
        }
        fs::create_dir_all(&self.folder).map_err(problem)?;
        let beside = self.folder.join(".bundle");
        let mut written = fs::File::create(&beside).map_err(problem)?;
        written.write_all(digest.as_bytes()).map_err(problem)?;
        written.sync_all().map_err(problem)?;
        fs::rename(&beside, &file).map_err(problem)?;
        Ok(digest.to_owned())
    }

    /// Removes the folder: the run has ended.
    pub fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, "the folder of the session is left for later");
        }
    }
}

fn sweep(all: &Path, own: &Path) {
    let Ok(entries) = fs::read_dir(all) else {
        return;
    };
    for folder in entries.flatten().map(|entry| entry.path()) {
        let changed = fs::metadata(folder.join(FILE)).and_then(|file| file.modified());
        let old = changed.is_ok_and(|changed| {
            let age = SystemTime::now().duration_since(changed);
            age.is_ok_and(|age| age > KEPT)
        });
        if !old || folder == own {
            continue;
        }
        // One that is locked is at work.
        if let Ok(Some(_lock)) = file::try_lock(&folder.join(FILE)) {
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_folder_is_named_by_what_is_no_runs_id() {
        let data = tempfile::tempdir().unwrap();
        for run in ["", ".", "..", "../x", "/etc", "a/b", "a\0b"] {
            assert!(Passing::beneath(data.path(), run).is_err(), "{run:?}");
        }
        assert!(!data.path().join("sessions").exists());
        let own = Passing::beneath(data.path(), "4f8a0c1d2e3b4a59")
            .unwrap()
            .unwrap();
        assert!(own.path().starts_with(data.path()));
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let (first, second) = (digest("a"), digest("b"));
        assert_eq!(own.bundle(&first).unwrap(), first);
        assert_eq!(own.bundle(&second).unwrap(), first);
        // Whoever wrote it was killed in the midst of that.
        fs::write(own.path().join("bundle"), "sha256:aa").unwrap();
        assert_eq!(own.bundle(&second).unwrap(), second);
        assert_eq!(own.bundle(&first).unwrap(), second);
        own.remove();
        assert_eq!(
            fs::read_dir(data.path().join("sessions")).unwrap().count(),
            0
        );
    }
}
