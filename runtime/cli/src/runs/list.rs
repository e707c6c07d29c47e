//! `runs list`.

use serde_json::json;
use sloth_fleet::store::master::{Filter, Run};
use sloth_workflow::Untrusted;
use sloth_workflow::event::timestamp;

use super::source::Source;
use crate::command::{Output, Shared};
use crate::render::{self, Paint};

/// Columns of a line.
const WIDTH: usize = 80;

pub(super) async fn list(shared: &Shared, source: &Source, filter: Filter) -> anyhow::Result<()> {
    let runs = source.runs(filter).await?;
    if shared.output == Output::Json {
        let runs: Vec<_> = runs.iter().map(object).collect();
        render::line(&render::json_line(&json!({ "runs": runs })));
        return Ok(());
    }
    if runs.is_empty() {
        render::note("there is no such run; sloth-runner run begins one");
        return Ok(());
    }
    let paint = Paint::for_stdout(shared.color);
    let width = runs.iter().map(|run| run.id.len()).max().unwrap_or(0);
    let head = format!(
        "{:width$}  STATE      SUBMITTED (UTC)   STACK / WORKFLOW",
        "ID"
    );
    render::line(&paint.dim(&head));
    for run in &runs {
        render::line(&line(run, width, paint));
    }
    Ok(())
}

fn line(run: &Run, width: usize, paint: Paint) -> String {
    let check = if run.check { " (check)" } else { "" };
    let name = format!(
        "{} / {}{check}",
        Untrusted::new(run.stack.as_str()).escaped(),
        Untrusted::new(run.workflow.as_str()).escaped()
    );
    let room = WIDTH.saturating_sub(width + 2 + 9 + 2 + 16 + 2);
    let state = format!("{:<9}", run.state.word());
    let state = match run.outcome {
        Some(outcome) => paint.outcome(outcome, &state),
        None => state,
    };
    format!(
        "{:width$}  {state}  {}  {}",
        run.id,
        minute(run),
        cut(&name, room)
    )
}

/// When it was submitted, to the minute.
fn minute(run: &Run) -> String {
    timestamp(run.submitted)[..16].replace('T', " ")
}

/// As much of a text as there is room for.
pub(super) fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A run as JSON tells it.
pub(super) fn object(run: &Run) -> serde_json::Value {
    json!({
        "id": run.id,
        "stack": run.stack,
        "workflow": run.workflow,
        "state": run.state.word(),
        "outcome": run.outcome,
        "check": run.check,
        "submitter": run.submitter,
        "submitted": timestamp(run.submitted),
        "finished": run.finished.map(timestamp),
        "counts": run.counts,
        "targets": run.targets,
        "bundle": run.bundle,
        "events": run.events,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_ends_in_dots() {
        assert_eq!(cut("äöüäöü", 6), "äöüäöü");
        assert_eq!(cut("äöüäöü", 5), "äöüä…");
    }
}
