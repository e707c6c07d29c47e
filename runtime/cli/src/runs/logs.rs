//! `runs logs`.

use std::time::SystemTime;

use anyhow::anyhow;
use sloth_fleet::store::master::{Run, RunState};
use sloth_policy::parse_duration;
use sloth_workflow::Event;

use super::source::Source;
use crate::command::Shared;
use crate::exit::Exit;
use crate::render::{Events, Paint};

/// The moment so long ago.
pub(super) fn moment(since: Option<&str>) -> anyhow::Result<Option<SystemTime>> {
    let Some(text) = since else {
        return Ok(None);
    };
    let ago = parse_duration(text).map_err(|reason| anyhow!("--since {text}: {reason}"))?;
    // Longer ago than time goes back is always.
    Ok(SystemTime::now().checked_sub(ago))
}

/// Shows the events of a run, those since some moment. One who follows gets those that come, until the run ends, and is
/// told by the exit what became of it, as one who ran it is.
pub(super) async fn logs(
    shared: &Shared,
    source: &Source,
    id: &str,
    follow: bool,
    since: Option<SystemTime>,
) -> anyhow::Result<Exit> {
    let mut run = source.run(id).await?;
    // Of a run that is over each step is shown whole; of one that goes on, what comes.
    let whole = run.state.has_ended();
    let paint = Paint::for_stdout(shared.color);
    let events = Events::replay(shared.output, paint, whole, run.targets.len());
    let mut after = 0;
    let mut told = None;
    loop {
        // Asked first: what was told before the end is read then.
        if follow {
            run = source.run(id).await?;
        }
        let ended = !follow || run.state.has_ended();
        let records = source.events(id, after).await?;
        match records.last() {
            Some(last) => after = last.number,
            None if ended => break,
            None => source.wait().await,
        }
        for record in records {
            if let Event::RunFinished {
                outcome, counts, ..
            } = &record.event
            {
                told = Some(Exit::of(*outcome, counts, run.check));
            }
            if since.is_none_or(|since| record.time >= since) {
                events.pass_on(record);
            }
        }
    }
    events.finish();
    Ok(if follow {
        told.unwrap_or_else(|| untold(&run))
    } else {
        Exit::Succeeded
    })
}

/// What became of a run whose last event does not say so: whoever ran it was killed.
fn untold(run: &Run) -> Exit {
    match (run.outcome, run.state) {
        (Some(outcome), _) => Exit::of(outcome, &run.counts, run.check),
        (None, RunState::Succeeded) => Exit::Succeeded,
        (None, RunState::Cancelled) => Exit::Cancelled,
        (None, RunState::Denied) => Exit::Denied,
        (None, _) => Exit::Failed,
    }
}
