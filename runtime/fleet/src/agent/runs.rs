//! The runs that the agent takes part in, and the calls that it has taken on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sloth_workflow::Cancel;
use sloth_workflow::scheduler::cancel::{self, Canceller};

use super::run::{Refusal, Run};
use super::secrets::Handed;
use crate::store::journal::Call;
use crate::wire::assign::Assignment;

/// Most calls that are taken on at a time, running or waiting for a place.
const MOST_CALLS: usize = 4096;
/// Most bytes of what they were given.
const MOST_BYTES: usize = 256 << 20;
/// Most runs at a time.
const MOST_RUNS: usize = 256;

#[derive(Default)]
pub(super) struct Runs {
    state: Mutex<State>,
    /// Counts the calls that are taken on.
    count: tokio::sync::watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    runs: HashMap<String, Arc<Run>>,
    calls: HashMap<(String, u64), Taken>,
    bytes: usize,
}

struct Taken {
    fence: u64,
    size: usize,
    canceller: Canceller,
}

/// What becomes of an assignment.
pub(super) enum Taking {
    /// It is to be made now.
    Made(Arc<Run>, Cancel),
    /// It is being made, and answers to the fence that it has now.
    Raised,
    /// It is being made under this very fence.
    Known,
    Refused(Refusal),
}

impl Runs {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a call on, whose frame had so many bytes.
    pub(super) fn take(
        &self,
        assigned: &mut Assignment,
        size: usize,
        secrets: impl FnOnce() -> Handed,
    ) -> Taking {
        let mut state = self.state();
        let key = (assigned.call.run.clone(), assigned.call.number);
        if let Some(taken) = state.calls.get_mut(&key) {
            let fence = assigned.call.fence;
            return if fence < taken.fence {
                Taking::Refused(Refusal::of("it was given out again with a higher fence"))
            } else if std::mem::replace(&mut taken.fence, fence) == fence {
                Taking::Known
            } else {
                Taking::Raised
            };
        }
        if state.calls.len() >= MOST_CALLS || state.bytes + size > MOST_BYTES {
            return Taking::Refused(Refusal::for_now("the agent has too many calls waiting"));
        }
        let run = match state.run(assigned, secrets) {
            Ok(run) => run,
            Err(refusal) => return Taking::Refused(refusal),
        };
        run.secrets.add(std::mem::take(&mut assigned.secrets));
        let (canceller, cancel) = cancel::pair();
        let taken = Taken {
            fence: assigned.call.fence,
            size,
            canceller,
        };
        state.bytes += size;
        state.calls.insert(key, taken);
        self.count.send_replace(state.calls.len());
        Taking::Made(run, cancel)
    }

    /// The fence that a call has now.
    pub(super) fn fence(&self, call: &Call) -> u64 {
        let key = (call.run.clone(), call.number);
        self.state()
            .calls
            .get(&key)
            .map_or(call.fence, |taken| taken.fence)
    }

    /// A call is over, unless it was given out again since its end was told under `fence`; then that fence
    /// is given.
    pub(super) fn done(&self, call: &Call, fence: u64) -> Option<u64> {
        let mut state = self.state();
        let key = (call.run.clone(), call.number);
        let taken = state.calls.get(&key)?;
        if taken.fence > fence {
            return Some(taken.fence);
        }
        state.bytes -= taken.size;
        state.calls.remove(&key);
        self.count.send_replace(state.calls.len());
        None
    }

    pub(super) fn cancel(&self, call: &Call) {
        let key = (call.run.clone(), call.number);
        match self.state().calls.get(&key) {
            Some(taken) if call.fence >= taken.fence => taken.canceller.give(),
            // Its end is on its way, or it was never here.
            _ => {
                tracing::debug!(run = %call.run, call = call.number, "there is no such call to cancel");
            }
        }
    }

    pub(super) fn cancel_all(&self) {
        for taken in self.state().calls.values() {
            taken.canceller.give();
        }
    }

    pub(super) fn close(&self, run: &str, seat: u64) {
        let run = self.state().runs.get(run).cloned();
        if let Some(run) = run {
            run.close(seat);
        }
    }

    /// Cancels what is left of a run and lets go of it.
    pub(super) fn forget(&self, run: &str) {
        let mut state = self.state();
        for ((of, _), taken) in &state.calls {
            if of == run {
                taken.canceller.give();
            }
        }
        let gone = state.runs.remove(run);
        drop(state);
        // Its folders are removed, which nobody waits for under a lock.
        drop(gone);
    }

    /// The calls that are taken on.
    pub(super) fn open(&self) -> Vec<Call> {
        let state = self.state();
        let calls = state.calls.iter().map(|((run, number), taken)| Call {
            run: run.clone(),
            number: *number,
            fence: taken.fence,
        });
        calls.collect()
    }

    /// The runs that something is held of.
    pub(super) fn held(&self) -> Vec<String> {
        self.state().runs.keys().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until no call is taken on.
    pub(super) async fn idle(&self) {
        // The sender lives as long as this.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl State {
    fn run(
        &mut self,
        assigned: &Assignment,
        secrets: impl FnOnce() -> Handed,
    ) -> Result<Arc<Run>, Refusal> {
        let id = &assigned.call.run;
        if let Some(run) = self.runs.get(id) {
            if run.terms != assigned.terms {
                return Err(Refusal::of(
                    "the run was begun with another bundle, stack, workflow or mode",
                ));
            }
            return Ok(Arc::clone(run));
        }
        if self.runs.len() >= MOST_RUNS {
            let busy = |id: &String| self.calls.keys().any(|(run, _)| run == id);
            let idle = self
                .runs
                .iter()
                .find(|(id, run)| run.is_empty() && !busy(id));
            let idle = idle.map(|(id, _)| id.clone());
            let idle = idle.ok_or_else(|| {
                Refusal::for_now(format!("the agent takes part in {MOST_RUNS} runs already"))
            })?;
            self.runs.remove(&idle);
        }
        let run = Arc::new(Run::new(id, assigned.terms.clone(), secrets()));
        self.runs.insert(id.clone(), Arc::clone(&run));
        Ok(run)
    }
}
