//! `runs show`.

use serde_json::json;
use sloth_fleet::store::master::{Detail, Step};
use sloth_fleet::wire::value;
use sloth_workflow::event::timestamp;
use sloth_workflow::{Untrusted, Value};

use super::list::{cut, object};
use super::source::Source;
use crate::command::{Output, Shared};
use crate::render::{self, Paint};

/// Columns of a line.
const WIDTH: usize = 80;
/// Most columns of a task's name among the steps.
const NAME: usize = 32;

pub(super) async fn show(shared: &Shared, source: &Source, id: &str) -> anyhow::Result<()> {
    let (detail, steps) = source.detail(id).await?;
    let outputs = detail.outputs.as_deref().unwrap_or_default();
    let outputs = value::map("the outputs", outputs, value::WHOLE)?;
    if shared.output == Output::Json {
        let mut shown = object(&detail.run);
        shown["steps"] = steps.iter().map(step).collect();
        shown["outputs"] = json!(outputs);
        render::line(&render::json_line(&shown));
        return Ok(());
    }
    head(&detail);
    let paint = Paint::for_stdout(shared.color);
    let labels: Vec<String> = steps.iter().map(|step| label(step, &detail)).collect();
    let width = labels.iter().map(|label| label.chars().count()).max();
    let width = width.unwrap_or(0).min(NAME);
    if !steps.is_empty() {
        render::line("");
    }
    for (step, label) in steps.iter().zip(labels) {
        render::line(&line(step, &cut(&label, width), width, paint));
    }
    written("outputs", &outputs);
    Ok(())
}

/// The run itself, a line for each thing known of it.
fn head(detail: &Detail) {
    let run = &detail.run;
    let shown = |text: &str| Untrusted::new(text).escaped();
    let check = if run.check { ", check mode" } else { "" };
    let cancelling = if run.cancelling && !run.state.has_ended() {
        ", being cancelled"
    } else {
        ""
    };
    let lines = [
        ("run", run.id.clone()),
        (
            "of",
            format!("{} / {}", shown(&run.stack), shown(&run.workflow)),
        ),
        ("state", format!("{}{check}{cancelling}", run.state.word())),
        ("bundle", run.bundle.clone()),
        ("by", shown(&run.submitter)),
        ("on", shown(&run.targets.join(", "))),
        ("began", timestamp(run.submitted)),
        ("ended", run.finished.map_or_else(String::new, timestamp)),
    ];
    for (name, text) in lines {
        if !text.is_empty() {
            render::line(&cut(&format!("{name:<6} {text}"), WIDTH));
        }
    }
}

/// A step's task; with its target, where there are several.
fn label(step: &Step, detail: &Detail) -> String {
    let task = step.task.escaped();
    if detail.run.targets.len() > 1 {
        format!(
            "{task} on {}",
            Untrusted::new(step.target.as_str()).escaped()
        )
    } else {
        task
    }
}

fn line(step: &Step, label: &str, width: usize, paint: Paint) -> String {
    let word = match step.outcome {
        Some(outcome) => paint.outcome(outcome, &format!("{:<11}", outcome.word())),
        None if step.running => format!("{:<11}", "running"),
        None => format!("{:<11}", "waiting"),
    };
    let attempt = match step.attempt {
        0 | 1 => String::new(),
        attempt => format!("attempt {attempt}  "),
    };
    let room = WIDTH.saturating_sub(2 + width + 2 + 11 + 2 + attempt.len());
    let message = cut(&step.message.escaped(), room);
    let line = format!("  {label:<width$}  {word}  {attempt}{message}");
    line.trim_end().to_owned()
}

/// Outputs that there are, as JSON that one reads.
fn written(name: &str, outputs: &Value) {
    let empty = |value: &Value| value.as_map().is_some_and(|map| map.is_empty());
    if outputs.as_map().is_none_or(|map| map.values().all(empty)) {
        return;
    }
    let text = serde_json::to_string_pretty(outputs).unwrap_or_default();
    render::line(&format!("\n{name}"));
    render::line(&Untrusted::new(text).escaped_lines());
}

fn step(step: &Step) -> serde_json::Value {
    json!({
        "task": step.task,
        "target": step.target,
        "attempt": step.attempt,
        "running": step.running,
        "outcome": step.outcome,
        "message": step.message,
    })
}
