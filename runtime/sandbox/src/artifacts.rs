//! The files that the tasks of a run leave for each other, by what is in them. Nothing of them is ever
//! held in memory whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use sha2::{Digest, Sha256};
use sloth_workflow::value::base16;

use crate::scratch::Scratch;

const PIECE: usize = 128 << 10;

/// A run's artifacts, in a folder that goes with it.
#[derive(Debug)]
pub(crate) struct Artifacts {
    folder: Scratch,
}

impl Artifacts {
    pub(crate) fn beneath(parent: &str) -> io::Result<Self> {
        Ok(Self {
            folder: Scratch::beneath(parent, u64::MAX)?,
        })
    }

    /// Keeps what a reader gives, at most `limit` bytes; gives its digest in base 16 and its size.
    pub(crate) fn put(
        &self,
        source: &mut dyn Read,
        executable: bool,
        limit: u64,
    ) -> io::Result<(String, u64)> {
        self.folder.make()?;
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let staged = format!("{}/.{}", self.folder.path(), base16(&random));
        let kept = self.stage(&staged, source, executable, limit);
        if kept.is_err() {
            // What matters has failed; a leftover goes with the run.
            let _ = std::fs::remove_file(&staged);
        }
        kept
    }

    fn stage(
        &self,
        staged: &str,
        source: &mut dyn Read,
        executable: bool,
        limit: u64,
    ) -> io::Result<(String, u64)> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if executable { 0o700 } else { 0o600 })
            .open(staged)?;
        let mut hash = Sha256::new();
        let mut size = 0;
        let mut piece = vec![0; PIECE];
        loop {
            let count = source.read(&mut piece)?;
            if count == 0 {
                break;
            }
            size += count as u64;
            if size > limit {
                return Err(io::Error::other(format!(
                    "the artifacts of a task are more than {limit} bytes; leave less, or raise \
                     scratch in [limits] of the policy"
                )));
            }
            hash.update(&piece[..count]);
            file.write_all(&piece[..count])?;
        }
        let digest = base16(&hash.finalize());
        std::fs::rename(staged, self.place(&digest, executable))?;
        Ok((digest, size))
    }

    /// Opens what was kept under a digest, and says whether it is a program.
    pub(crate) fn open(&self, digest: &str) -> io::Result<(File, bool)> {
        let file = match File::open(self.place(digest, false)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                File::open(self.place(digest, true))?
            }
            opened => opened?,
        };
        let executable = file.metadata()?.permissions().mode() & 0o100 != 0;
        Ok((file, executable))
    }

    fn place(&self, digest: &str, executable: bool) -> String {
        let suffix = if executable { ".x" } else { "" };
        format!("{}/{digest}{suffix}", self.folder.path())
    }
}
