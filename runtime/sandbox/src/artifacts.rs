//! The files that the tasks of a run leave for each other, by what is in them. Nothing of them is ever
//! held in memory whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use sloth_workflow::value::base16;

use crate::scratch::Scratch;

const PIECE: usize = 128 << 10;

/// How many times what one task may leave all tasks of a run may leave together.
pub(crate) const TASKS_WORTH: u64 = 8;

/// A run's artifacts, in a folder that goes with it. Equal contents are kept once.
#[derive(Debug)]
pub(crate) struct Artifacts {
    folder: Scratch,
    /// Most bytes of one task.
    by_task: u64,
    /// Bytes kept, those included that are being written.
    kept: AtomicU64,
}

impl Artifacts {
    /// `by_task` is how many bytes one task may leave.
    pub(crate) fn beneath(parent: &str, by_task: u64) -> io::Result<Self> {
        Ok(Self {
            folder: Scratch::beneath(parent, u64::MAX)?,
            by_task,
            kept: AtomicU64::new(0),
        })
    }

    /// Most bytes of one task.
    pub(crate) fn by_task(&self) -> u64 {
        self.by_task
    }

    /// Keeps what a reader gives, of which its task may leave `left` bytes more; gives its digest in base 16
    /// and its size.
    pub(crate) fn put(&self, source: &mut dyn Read, left: u64) -> io::Result<(String, u64)> {
        self.folder.make()?;
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let staged = format!("{}/.{}", self.folder.path(), base16(&random));
        let mut size = 0;
        let digest = self.stage(&staged, source, left, &mut size);
        let place = digest.as_ref().map(|digest| self.place(digest));
        let known = place
            .as_ref()
            .is_ok_and(|place| std::fs::exists(place).unwrap_or(false));
        if digest.is_err() || known {
            self.kept.fetch_sub(size, Ordering::Relaxed);
            // What matters has failed or is there; a leftover goes with the run.
            let _ = std::fs::remove_file(&staged);
        } else if let Ok(place) = place {
            std::fs::rename(&staged, place)?;
        }
        Ok((digest?, size))
    }

    fn stage(
        &self,
        staged: &str,
        source: &mut dyn Read,
        left: u64,
        size: &mut u64,
    ) -> io::Result<String> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(staged)?;
        let mut hash = Sha256::new();
        let mut piece = vec![0; PIECE];
        let all = self.by_task.saturating_mul(TASKS_WORTH);
        loop {
            let count = source.read(&mut piece)?;
            if count == 0 {
                break;
            }
            *size += count as u64;
            let kept = self.kept.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
            let (whose, limit) = if *size > left {
                ("a task", self.by_task)
            } else if kept > all {
                ("all tasks together", all)
            } else {
                hash.update(&piece[..count]);
                file.write_all(&piece[..count])?;
                continue;
            };
            return Err(io::Error::other(format!(
                "the artifacts of {whose} are more than {limit} bytes; leave less, or raise scratch in \
                 [limits] of the policy"
            )));
        }
        Ok(base16(&hash.finalize()))
    }

    /// Opens what was kept under a digest.
    pub(crate) fn open(&self, digest: &str) -> io::Result<File> {
        File::open(self.place(digest))
    }

    fn place(&self, digest: &str) -> String {
        format!("{}/{digest}", self.folder.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_that_leave_something_at_the_same_time_do_not_hinder_each_other() {
        let parent = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let artifacts = Artifacts::beneath(parent.path().to_str().unwrap(), 1 << 20).unwrap();
            let together = std::sync::Barrier::new(4);
            let put = |task: usize| {
                together.wait();
                // Two of them leave the same.
                let left = format!("{round} {}", task / 2);
                artifacts.put(&mut left.as_bytes(), 1 << 20)
            };
            std::thread::scope(|scope| {
                let putting: Vec<_> = (0..4).map(|task| scope.spawn(move || put(task))).collect();
                for put in putting {
                    let (digest, _) = put.join().unwrap().unwrap();
                    artifacts.open(&digest).unwrap();
                }
            });
        }
    }
}
