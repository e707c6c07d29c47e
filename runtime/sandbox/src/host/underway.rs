//! What goes on beside a step: its programs and its requests, by numbers of one kind, so that one wait
//! covers all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sloth_policy::{Capability, Limits};

use super::error::{Error, Result};
use super::http::Requests;
use super::process::Programs;
use crate::place::Tree;
use crate::report::Reporter;
use crate::scratch::MEASURED_EVERY;
use crate::secrecy::Secrecy;
use crate::watch::Watch;

/// Everything of one step that goes on beside it. Dropping it ends it.
pub(crate) struct Underway {
    pub(crate) programs: Programs,
    pub(crate) requests: Requests,
}

/// Where numbers come from; none comes twice in an instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers(Arc<AtomicU32>);

impl Numbers {
    pub(crate) fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Underway {
    pub(crate) fn new(limits: &Limits) -> Self {
        let numbers = Numbers::default();
        Self {
            programs: Programs::new(limits, numbers.clone()),
            requests: Requests::new(limits.memory, numbers),
        }
    }

    pub(crate) fn holds(&self, number: u32) -> bool {
        self.programs.holds(number) || self.requests.holds(number)
    }

    pub(crate) fn has_ended(&self, number: u32) -> bool {
        self.programs.has_ended(number) || self.requests.has_ended(number)
    }

    /// Keeps what has been told already.
    pub(crate) fn take_in(&mut self, report: &mut Reporter, secrecy: &mut Secrecy) -> Result<()> {
        while let Some((number, news)) = self.programs.next_now() {
            self.programs.take_in(number, news, report, secrecy)?;
        }
        self.requests.take_in();
        Ok(())
    }

    /// Lets time pass until something is told, the moment has come or the step must end.
    pub(crate) async fn pass(
        &mut self,
        until: Option<Instant>,
        watch: &Watch,
        tree: &Tree,
        report: &mut Reporter,
        secrecy: &mut Secrecy,
    ) -> Result<()> {
        let end = until.map_or(watch.deadline, |until| until.min(watch.deadline));
        tokio::select! {
            (number, news) = self.programs.next() => {
                self.programs.take_in(number, news, report, secrecy)?;
            }
            () = self.requests.next() => {}
            () = tokio::time::sleep_until(end.into()) => {}
            () = watch.cancel.given() => {}
            () = tokio::time::sleep(MEASURED_EVERY) => {
                if let Some(scratch) = tree.scratch().cloned() {
                    // A folder of many entries takes its time.
                    let measured = tokio::task::spawn_blocking(move || scratch.within_quota()).await;
                    measured.map_err(|error| Error::Trap(error.into()))??;
                }
            }
        }
        watch.still()?;
        Ok(())
    }

    /// Ends all of it, waiting at most so long. Gives what each was that may have changed something and
    /// that nobody collected.
    pub(crate) async fn end(
        &mut self,
        at_most: Duration,
        secrecy: &mut Secrecy,
    ) -> Vec<(Capability, String, Option<u64>)> {
        let requests = self.requests.end().into_iter();
        let mut left: Vec<_> = requests
            .map(|(summary, intent)| (Capability::HttpSend, summary, intent))
            .collect();
        let programs = self.programs.end(at_most, secrecy).await.into_iter();
        left.extend(programs.map(|(summary, intent)| (Capability::ProcessRun, summary, intent)));
        left
    }
}
