//! `clock`: the time, which stands still at the run's start while a file is loaded.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wasmtime::component::HasData;

use super::error::{Error, Result};
use super::underway::Underway;
use crate::bindings::sloth::host::clock;
use crate::gate::Gate;
use crate::place::Tree;
use crate::scratch::{MEASURED_EVERY, Scratch};
use crate::secrecy::Secrecy;
use crate::watch::Watch;

pub(crate) struct Clock;

pub(crate) struct ClockView<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) tree: &'a Tree,
    pub(crate) underway: &'a mut Underway,
    pub(crate) secrecy: &'a mut Secrecy,
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

    async fn wait(&mut self, numbers: Vec<u32>, milliseconds: Option<u64>) -> Result<Vec<u32>> {
        self.gate.loaded("clock.wait")?;
        if let Some(unknown) = numbers.iter().find(|number| !self.underway.holds(**number)) {
            return Err(Error::invalid(format!(
                "nothing of the number {unknown} goes on; it was never started, or its end was \
                 collected already"
            )));
        }
        if numbers.is_empty() && milliseconds.is_none() {
            return Err(Error::invalid("nothing to wait for: no number and no time"));
        }
        let until =
            milliseconds.and_then(|time| Instant::now().checked_add(Duration::from_millis(time)));
        loop {
            let report = &mut self.gate.report;
            self.underway.take_in(report, self.secrecy)?;
            let mut ended = numbers.clone();
            ended.retain(|number| self.underway.has_ended(*number));
            if !ended.is_empty() || until.is_some_and(|until| Instant::now() >= until) {
                return Ok(ended);
            }
            let passing = self
                .underway
                .pass(until, self.watch, self.tree, report, self.secrecy);
            passing.await?;
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
