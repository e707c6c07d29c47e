//! Where one kind of work says how long it took.

use std::time::{Duration, Instant};

use prometheus_client::metrics::histogram::Histogram;
use sloth_sandbox::ports::Timing;

/// Takes times of one kind of work. Clones are the same one; off, it takes none.
#[derive(Clone, Debug, Default)]
pub struct Timer(Option<Histogram>);

impl Timer {
    pub(super) const fn of(histogram: Histogram) -> Self {
        Self(Some(histogram))
    }

    /// Does the work and takes its time.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(histogram) = &self.0 else {
            return work();
        };
        let began = Instant::now();
        let done = work();
        histogram.observe(began.elapsed().as_secs_f64());
        done
    }
}

impl Timing for Timer {
    fn took(&self, time: Duration) {
        if let Some(histogram) = &self.0 {
            histogram.observe(time.as_secs_f64());
        }
    }
}
