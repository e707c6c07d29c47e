//! The private folder of one step: made when first used, gone when the step ends.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::clearing;
use crate::confine::Account;
use crate::interrupt::Interrupt;

/// How often it is measured at most.
pub(crate) const MEASURED_EVERY: Duration = Duration::from_millis(250);

/// A folder that only this user can enter. Dropping it removes it with all in it.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: String,
    /// In bytes.
    quota: u64,
    made: OnceLock<()>,
    measured: Mutex<Measured>,
}

/// What is known of how much a folder holds.
#[derive(Debug, Default)]
struct Measured {
    /// Not measured again before this moment; none if it never was.
    until: Option<Instant>,
    under_way: bool,
    over: bool,
}

impl Scratch {
    /// A fresh name beneath `parent`; nothing is made yet.
    pub(crate) fn beneath(parent: &str, quota: u64) -> io::Result<Self> {
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        Ok(Self {
            path: format!("{parent}/step-{:032x}", u128::from_le_bytes(random)),
            quota,
            made: OnceLock::new(),
            measured: Mutex::default(),
        })
    }

    /// Absolute and free of links.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Makes the folder unless it was made before.
    pub(crate) fn make(&self) -> io::Result<()> {
        if self.made.get().is_some() {
            return Ok(());
        }
        // One at a time: a folder that another has made meanwhile is this one, and any other is nobody's.
        let _turn = self.measured();
        if self.made.get().is_none() {
            std::fs::DirBuilder::new().mode(0o700).create(&self.path)?;
            let _ = self.made.set(());
        }
        Ok(())
    }

    /// Lets a program of another account work in the folder. What lies in it already stays as it is.
    pub(crate) fn give_to(&self, account: &Account) -> io::Result<()> {
        std::os::unix::fs::lchown(&self.path, Some(account.uid), Some(account.gid))
    }

    /// An error once it was found to hold more than its quota. Looks on disk at most four times a second,
    /// on a thread where that keeps nobody from anything, so what it tells is that much older.
    pub(crate) fn within_quota(self: &Arc<Self>) -> Result<(), Interrupt> {
        let mut measured = self.measured();
        if measured.over {
            return Err(Interrupt::Scratch { quota: self.quota });
        }
        let is_fresh = measured.until.is_some_and(|until| Instant::now() < until);
        if is_fresh || measured.under_way || self.made.get().is_none() {
            return Ok(());
        }
        measured.under_way = true;
        drop(measured);
        let scratch = Arc::clone(self);
        let measure = move || scratch.measure();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(measure)),
            Err(_) => measure(),
        }
        Ok(())
    }

    /// As [`within_quota`](Self::within_quota), of what it holds now.
    pub(crate) async fn holds_no_more(self: &Arc<Self>) -> Result<(), Interrupt> {
        if self.made.get().is_some() {
            let scratch = Arc::clone(self);
            // Its only end is the answer: it does not panic.
            let _ = tokio::task::spawn_blocking(move || scratch.measure()).await;
        }
        self.within_quota()
    }

    fn measure(&self) {
        let began = Instant::now();
        let over = clearing::holds_more_than(&self.path, self.quota);
        let mut measured = self.measured();
        // Many entries take their time: most of it is left for others.
        let pause = MEASURED_EVERY.max(began.elapsed() * 4);
        *measured = Measured {
            until: Some(Instant::now() + pause),
            under_way: false,
            over: measured.over || over,
        };
    }

    fn measured(&self) -> std::sync::MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.made.get().is_some()
            && let Err(error) = clearing::remove(&self.path)
            // The step has removed it itself.
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = self.path, %error, "a scratch folder is left behind");
        }
    }
}
