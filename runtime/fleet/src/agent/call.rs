//! One call from the assignment to its end.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use sloth_workflow::{Cancel, Executor, Finished, Outcome};

use super::agent::Shared;
use super::report;
use super::run::{Prepared, Refusal, Run};
use super::runs::Taking;
use super::secrets::Handed;
use super::transfer::{self, Failed};
use crate::store::journal::{Call, Found};
use crate::wire::assign::Assignment;

/// How a call came out.
enum Came {
    /// It is to be told.
    Ended(Finished),
    /// It was never begun.
    Declined(Refusal),
}

/// Takes a call on, or says why not.
pub(super) async fn assign(shared: &Arc<Shared>, mut assigned: Assignment, size: usize) {
    if let Err(refusal) = shared.accepts(&assigned) {
        return shared.link.decline(&assigned.call, &refusal).await;
    }
    let own = Arc::clone(&shared.config.node.secrets);
    match shared
        .runs
        .take(&mut assigned, size, || Handed::behind(own))
    {
        Taking::Known => {}
        Taking::Raised => {
            // Should that not be kept, the end is told under the new fence all the same.
            let (shared, call) = (Arc::clone(shared), assigned.call);
            tokio::spawn(async move {
                if let Err(problem) = shared.journal.raise(call).await {
                    tracing::warn!("{problem}");
                }
            });
        }
        Taking::Refused(refusal) => {
            shared.link.decline(&assigned.call, &refusal).await;
        }
        Taking::Made(run, cancel) => {
            let shared = Arc::clone(shared);
            tokio::spawn(async move { make(&shared, &run, &assigned, &cancel).await });
        }
    }
}

async fn make(shared: &Shared, run: &Run, assigned: &Assignment, cancel: &Cancel) {
    let call = &assigned.call;
    let found = match shared.journal.find(&call.run, call.number).await {
        Ok(found) => found,
        Err(problem) => {
            shared.runs.done(call, u64::MAX);
            return shared.link.decline(call, &Refusal::of(problem.0)).await;
        }
    };
    let came = match found {
        Some(found) => return tell_again(shared, call, found).await,
        None => came(shared, run, assigned, cancel).await,
    };
    match came {
        Came::Ended(finished) => end(shared, call, &finished).await,
        Came::Declined(refusal) => {
            shared.runs.done(call, u64::MAX);
            shared.link.decline(call, &refusal).await;
        }
    }
}

/// A call that was begun before is never begun again: its end is told once more, where it may not be known.
async fn tell_again(shared: &Shared, call: &Call, found: Found) {
    if call.fence < found.fence {
        shared.runs.done(call, u64::MAX);
        let refusal = Refusal::of("it was given out again with a higher fence");
        return shared.link.decline(call, &refusal).await;
    }
    if call.fence > found.fence
        && let Some(body) = found.ended
    {
        let body = report::again(&body, call);
        if let Err(problem) = shared.journal.end(call.clone(), body).await {
            tracing::error!("{problem}");
        }
    }
    shared.runs.done(call, u64::MAX);
}

async fn came(shared: &Shared, run: &Run, assigned: &Assignment, cancel: &Cancel) -> Came {
    let cancelled = || Came::Ended(Finished::with(Outcome::Cancelled, "the run was cancelled"));
    let prepared = match run.prepared(shared, cancel).await {
        Some(Ok(prepared)) => prepared,
        Some(Err(refusal)) => return Came::Declined(refusal),
        None => return cancelled(),
    };
    let fitting = prepared.fits(assigned);
    let place = match fitting.and_then(|()| run.place(assigned.seat, assigned.step.subject)) {
        Ok(place) => place,
        Err(refusal) => return Came::Declined(refusal),
    };
    let mut held = tokio::select! {
        held = place.seat.lock() => held,
        () = cancel.given() => return cancelled(),
    };
    let seat = match &mut *held {
        Some(seat) => seat,
        none => {
            if let Err(failed) = take_in(shared, &prepared, assigned, cancel).await {
                return match failed {
                    Failed::Cancelled => cancelled(),
                    Failed::For(reason) => Came::Declined(Refusal::of(reason)),
                };
            }
            none.insert(prepared.seat(assigned))
        }
    };
    if !prepared.session.admit(seat, cancel).await || cancel.is_given() {
        return cancelled();
    }
    let call = Call {
        fence: shared.runs.fence(&assigned.call),
        ..assigned.call.clone()
    };
    // Before anything of it happens.
    if let Err(problem) = shared.journal.begin(call).await {
        return Came::Declined(Refusal::of(format!(
            "the agent cannot keep record: {problem}"
        )));
    }
    let step = assigned.step.clone();
    let began = Instant::now();
    let finished = prepared.session.execute(seat, step, cancel.clone()).await;
    let (telemetry, took) = (&shared.config.telemetry, began.elapsed());
    prepared.count(telemetry, &assigned.step, finished.outcome, took);
    Came::Ended(send_up(shared, &assigned.call.run, &prepared, finished, cancel).await)
}

/// Gets what other tasks left and this one is given.
async fn take_in(
    shared: &Shared,
    prepared: &Arc<Prepared>,
    assigned: &Assignment,
    cancel: &Cancel,
) -> Result<(), Failed> {
    for artifact in &assigned.artifacts {
        let (own, wanted) = (Arc::clone(prepared), artifact.clone());
        let here = move || own.session.left_behind(&wanted.digest).is_ok();
        if aside(here).await? {
            continue;
        }
        let digest = format!("sha256:{}", artifact.digest);
        let run = &assigned.call.run;
        let fetched = transfer::fetch(shared, run, &digest, artifact.size, cancel).await;
        let because = |reason: String| {
            let name = sloth_workflow::Untrusted::new(artifact.name.as_str()).escaped();
            Failed::For(format!("the artifact `{name}` is not to be had: {reason}"))
        };
        let mut file = fetched.map_err(|failed| match failed {
            Failed::Cancelled => Failed::Cancelled,
            Failed::For(reason) => because(reason),
        })?;
        let (own, size) = (Arc::clone(prepared), artifact.size);
        let taken = aside(move || own.session.take_in(&mut file, size)).await?;
        let (real, _) = taken.map_err(|error| because(error.to_string()))?;
        if real != artifact.digest {
            // What lies here is damaged; the next call sends for it again.
            let _ = shared.contents.remove(&digest);
            return Err(because("it is damaged on the agent's disk".to_owned()));
        }
    }
    Ok(())
}

/// Sends up what a step left for others, before its end is told.
async fn send_up(
    shared: &Shared,
    run: &str,
    prepared: &Arc<Prepared>,
    finished: Finished,
    cancel: &Cancel,
) -> Finished {
    for artifact in &finished.artifacts {
        let known = |prepared: &Prepared| {
            let mut sent = prepared.sent.lock().unwrap_or_else(PoisonError::into_inner);
            !sent.insert(artifact.digest.clone())
        };
        if known(prepared) {
            continue;
        }
        let digest = format!("sha256:{}", artifact.digest);
        let open = || prepared.session.left_behind(&artifact.digest);
        let kept = transfer::keep(shared, run, &digest, artifact.size, open, cancel).await;
        let Err(failed) = kept else { continue };
        let mut sent = prepared.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.remove(&artifact.digest);
        drop(sent);
        let name = artifact.name.as_str();
        let (outcome, message) = match failed {
            Failed::Cancelled => (Outcome::Cancelled, "the run was cancelled".to_owned()),
            Failed::For(reason) => (
                Outcome::Failed,
                format!("the artifact `{name}` could not be sent to the master: {reason}"),
            ),
        };
        return Finished {
            outputs: finished.outputs,
            stack: finished.stack,
            ..Finished::with(outcome, message)
        };
    }
    finished
}

/// Tells how a call ended, under the fence that it has by then.
async fn end(shared: &Shared, call: &Call, finished: &Finished) {
    let mut fence = shared.runs.fence(call);
    loop {
        let call = Call {
            fence,
            ..call.clone()
        };
        let body = report::ended(&call, finished, shared.head());
        if let Err(problem) = shared.journal.end(call.clone(), body).await {
            tracing::error!("{problem}");
        }
        match shared.runs.done(&call, fence) {
            Some(higher) => fence = higher,
            None => return,
        }
    }
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failed> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|defect| Failed::For(defect.to_string()))
}
