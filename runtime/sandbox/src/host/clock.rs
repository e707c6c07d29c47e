//! `clock`: the time, which stands still at the run's start while a file is loaded.

use std::time::{Duration, Instant, SystemTime};

use wasmtime::component::HasData;

use crate::bindings::sloth::host::clock;

pub(crate) struct Clock;

pub(crate) struct ClockView {
    /// When the step began; none while loading.
    pub(crate) step: Option<Instant>,
    /// When the run began.
    pub(crate) run: SystemTime,
}

impl HasData for Clock {
    type Data<'a> = ClockView;
}

impl clock::Host for ClockView {
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
