//! `runs logs`.

use std::time::SystemTime;

use anyhow::anyhow;
use sloth_policy::parse_duration;

use super::source::Source;
use crate::command::Shared;
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

/// Shows the events of a run, those since some moment. One who follows gets those that come, until the run ends.
pub(super) async fn logs(
    shared: &Shared,
    source: &Source,
    id: &str,
    follow: bool,
    since: Option<SystemTime>,
) -> anyhow::Result<()> {
    let run = source.run(id).await?;
    // Of a run that is over each step is shown whole; of one that goes on, what comes.
    let whole = run.state.has_ended();
    let paint = Paint::for_stdout(shared.color);
    let events = Events::replay(shared.output, paint, whole, run.targets.len());
    let mut after = 0;
    loop {
        // Asked first: what was told before the end is read then.
        let ended = !follow || source.run(id).await?.state.has_ended();
        let records = source.events(id, after).await?;
        match records.last() {
            Some(last) => after = last.number,
            None if ended => break,
            None => source.wait().await,
        }
        for record in records {
            if since.is_none_or(|since| record.time >= since) {
                events.pass_on(record);
            }
        }
    }
    events.finish();
    Ok(())
}
