//! `clock`: the time, which stands still at the run's start while a file is loaded.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wasmtime::component::HasData;

use crate::bindings::sloth::host::clock;
use crate::scratch::{MEASURED_EVERY, Scratch};
use crate::watch::Watch;

pub(crate) struct Clock;

pub(crate) struct ClockView<'a> {
    pub(crate) watch: &'a Watch,
    /// What may outgrow its quota while time passes.
    pub(crate) scratch: Option<&'a Arc<Scratch>>,
    /// When the step began; none while loading.
    pub(crate) step: Option<Instant>,
    /// When the run began.
    pub(crate) run: SystemTime,
}

impl HasData for Clock {
    type Data<'a> = ClockView<'a>;
}

impl clock::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<clock::Instant> {
        let now = if self.step.is_some() {
            SystemTime::now()
        } else {
            self.run
        };
        Ok(instant(now))
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        let elapsed = self.step.map_or(Duration::ZERO, |step| step.elapsed());
        Ok(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    async fn sleep(&mut self, milliseconds: u64) -> wasmtime::Result<()> {
        if self.step.is_none() {
            return Ok(());
        }
        let until = Instant::now().checked_add(Duration::from_millis(milliseconds));
        let until = until.map_or(self.watch.deadline, |until| until.min(self.watch.deadline));
        loop {
            if let Some(scratch) = self.scratch {
                scratch.within_quota()?;
            }
            let next = until.min(Instant::now() + MEASURED_EVERY);
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = self.watch.cancel.given() => {}
            }
            self.watch.still()?;
            if next == until {
                return Ok(());
            }
        }
    }
}

fn instant(time: SystemTime) -> clock::Instant {
    // A clock set before 1970 is answered as 1970.
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    clock::Instant {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: since.subsec_nanos(),
    }
}
