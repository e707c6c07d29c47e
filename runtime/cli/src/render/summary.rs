//! The table at the end of a run, and its last line.

use std::collections::BTreeMap;
use std::time::Duration;

use sloth_workflow::{Counts, Outcome};

use super::screen::Paint;

/// Columns of the screen that a table fits.
const WIDTH: usize = 80;
/// Columns of a step's name, at most.
const NAME: usize = 32;
/// Columns before what many steps say.
const INDENT: usize = 8;
/// Targets that a row names, at most.
const NAMED: usize = 4;

/// What became of each step.
pub(super) struct Table {
    /// Steps are counted by task, and only those that went wrong are named.
    crowd: bool,
    rows: Vec<Row>,
}

/// One step.
pub(super) struct Row {
    pub(super) task: String,
    /// The task with its target.
    pub(super) label: String,
    pub(super) outcome: Outcome,
    /// Empty if it never began.
    pub(super) time: String,
    pub(super) message: String,
}

impl Table {
    pub(super) fn of(crowd: bool) -> Self {
        Self {
            crowd,
            rows: Vec::new(),
        }
    }

    /// A workflow of so many tasks begins.
    pub(super) fn begin(&mut self, tasks: usize) {
        self.rows.clear();
        self.rows.reserve(tasks);
    }

    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The table as lines, with an empty one around it; nothing for a single step.
    pub(super) fn lines(&mut self, paint: Paint) -> Vec<String> {
        let rows = std::mem::take(&mut self.rows);
        if rows.len() < 2 {
            return Vec::new();
        }
        let mut lines = vec![String::new()];
        if self.crowd {
            lines.extend(counted(&rows, paint));
        } else {
            lines.extend(listed(&rows, paint));
        }
        lines.push(String::new());
        lines
    }
}

fn listed(rows: &[Row], paint: Paint) -> Vec<String> {
    let width = width(rows.iter().map(|row| row.label.as_str()));
    rows.iter()
        .map(|row| {
            let name: String = row.label.chars().take(width).collect();
            let room = WIDTH.saturating_sub(width + 24);
            let message: String = row.message.chars().take(room).collect();
            let word = paint.outcome(row.outcome, &format!("{:<9}", row.outcome.word()));
            let line = format!("  {name:<width$}  {word}  {:>8}  {message}", row.time);
            line.trim_end().to_owned()
        })
        .collect()
}

/// For each task and outcome how many steps there were, and of what is no success where, those together that say the
/// same.
fn counted(rows: &[Row], paint: Paint) -> Vec<String> {
    let mut order: Vec<&str> = Vec::new();
    let mut groups: BTreeMap<(&str, &str, &str), (Outcome, Vec<&Row>)> = BTreeMap::new();
    for row in rows {
        if !order.contains(&row.task.as_str()) {
            order.push(&row.task);
        }
        let group = groups.entry((&row.task, row.outcome.word(), &row.message));
        group.or_insert((row.outcome, Vec::new())).1.push(row);
    }
    let width = width(order.iter().copied());
    let mut lines = Vec::new();
    for task in order {
        for ((_, _, message), (outcome, steps)) in groups
            .range((task, "", "")..)
            .take_while(|((of, _, _), _)| *of == task)
        {
            let name: String = task.chars().take(width).collect();
            let word = paint.outcome(*outcome, &format!("{:<11}", outcome.word()));
            let targets = if outcome.succeeded() {
                String::new()
            } else {
                named(task, steps)
            };
            let line = format!("  {name:<width$}  {:>5} {word}  {targets}", steps.len());
            lines.push(line.trim_end().to_owned());
            if !message.is_empty() && !outcome.succeeded() {
                let message: String = message.chars().take(WIDTH - INDENT).collect();
                lines.push(format!("{:INDENT$}{message}", ""));
            }
        }
    }
    lines
}

/// Where the steps were; of many, how many and the first few.
fn named(task: &str, steps: &[&Row]) -> String {
    let on = format!("{task} on ");
    let targets: Vec<&str> = steps
        .iter()
        .take(NAMED)
        .map(|row| row.label.strip_prefix(&on).unwrap_or(&row.label))
        .collect();
    let targets = targets.join(", ");
    if steps.len() > NAMED {
        format!("on {} targets: {targets}, …", steps.len())
    } else {
        targets
    }
}

fn width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        .min(NAME)
}

/// The last line of a run.
pub(super) fn end(
    paint: Paint,
    outcome: Outcome,
    counts: &Counts,
    duration: Duration,
    check: bool,
) -> String {
    let parts: Vec<String> = [
        (counts.ok, Outcome::Ok),
        (counts.changed, Outcome::Changed),
        (counts.failed, Outcome::Failed),
        (counts.denied, Outcome::Denied),
        (counts.timed_out, Outcome::TimedOut),
        (counts.unreachable, Outcome::Unreachable),
        (counts.skipped, Outcome::Skipped),
        (counts.cancelled, Outcome::Cancelled),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, outcome)| paint.outcome(outcome, &format!("{count} {}", outcome.word())))
    .collect();
    let word = match (check, outcome) {
        (true, Outcome::Changed) => "would change".to_owned(),
        _ => outcome.word().to_owned(),
    };
    let word = paint.bold(&paint.outcome(outcome, &word));
    let time = paint.dim(&spoken(duration));
    format!("{word}: {} in {time}", parts.join(", "))
}

/// So many tasks, in words.
pub(super) fn count(tasks: usize) -> String {
    if tasks == 1 {
        "1 task".to_owned()
    } else {
        format!("{tasks} tasks")
    }
}

/// A duration in as many digits as one reads.
pub(super) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match duration.as_millis() {
        0..=999 => format!("{} ms", duration.as_millis()),
        1000..=59_999 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: &str, message: &str) -> Row {
        Row {
            task: "copy".into(),
            label: format!("copy on {target}"),
            outcome: Outcome::Failed,
            time: String::new(),
            message: message.into(),
        }
    }

    #[test]
    fn what_many_targets_say_alike_is_said_once() {
        let mut table = Table::of(true);
        for number in 1..=37 {
            table.add(row(&format!("web-{number:02}"), "no space left"));
        }
        table.add(row("db-01", "permission denied"));
        assert_eq!(
            table.lines(Paint::for_stdout(crate::command::Color::Never)),
            [
                "",
                "  copy     37 failed       on 37 targets: web-01, web-02, web-03, web-04, …",
                "        no space left",
                "  copy      1 failed       db-01",
                "        permission denied",
                "",
            ]
        );
    }
}
