//! Events for people: what a task logs and changes as it happens, what its programs print only when
//! it fails, and a table at the end.

use std::collections::HashMap;
use std::time::Duration;

use sloth_workflow::event::Level;
use sloth_workflow::{Counts, Event, Outcome, Untrusted, Value};

use super::progress::Progress;
use super::screen::Paint;

/// Most bytes of a failed task's program output that are shown: its end.
const MAX_SHOWN: usize = 256 << 10;

/// Shows one run.
pub(super) struct Text {
    paint: Paint,
    /// Steps run beside each other: each is shown whole once it ends.
    parallel: bool,
    check: bool,
    progress: Progress,
    steps: HashMap<Untrusted, Shown>,
    table: Vec<Row>,
}

/// What is kept of a running step.
#[derive(Default)]
struct Shown {
    lines: Vec<String>,
    output: String,
    cut: bool,
}

struct Row {
    task: String,
    outcome: Outcome,
    time: String,
    message: String,
}

impl Text {
    pub(super) fn new(paint: Paint, parallel: bool) -> Self {
        Self {
            paint,
            parallel,
            check: false,
            progress: Progress::new(),
            steps: HashMap::new(),
            table: Vec::new(),
        }
    }

    pub(super) fn show(&mut self, event: &Event) {
        let paint = self.paint;
        match event {
            Event::RunStarted {
                stack,
                workflow,
                check,
                tasks,
                ..
            } => {
                self.check = *check;
                self.table.clear();
                let mode = if *check {
                    ", check mode: nothing is changed"
                } else {
                    ""
                };
                let title = paint.bold(&format!("{} / {}", stack.escaped(), workflow.escaped()));
                self.progress.line(&format!(
                    "{title} {}",
                    paint.dim(&format!("{}{mode}", count(tasks.len())))
                ));
            }
            Event::StepStarted { task, .. } => {
                self.steps.insert(task.clone(), Shown::default());
                if !self.parallel {
                    self.progress.line(&format!("▸ {}", task.escaped()));
                }
                self.progress.begin(task);
            }
            Event::StepRetrying {
                task,
                attempt,
                outcome,
                message,
                delay,
            } => {
                self.retrying(task, *attempt, *outcome, message, *delay);
            }
            Event::Log {
                task,
                level,
                message,
            } => {
                self.log(task, *level, message);
            }
            Event::Output { task, text, .. } => self.keep_output(task, text),
            Event::Change {
                task,
                summary,
                diff,
                applied,
                ..
            } => {
                self.change(task, summary, diff.as_ref(), *applied);
            }
            Event::Emitted {
                task,
                kind,
                data,
                applied,
            } => {
                self.emitted(task, kind, data, *applied);
            }
            Event::Denial { task, denial } => {
                let message = Untrusted::new(denial.message.as_str()).escaped();
                self.under(task, format!("  {} {message}", paint.bad("denied:")));
            }
            Event::StepFinished {
                task,
                outcome,
                message,
                location,
                traceback,
                duration,
                ..
            } => {
                let place = Place {
                    location: location.as_ref(),
                    traceback: traceback.as_ref(),
                };
                self.finished(task, *outcome, message, &place, *duration);
            }
            Event::RunFinished {
                outcome,
                counts,
                duration,
                ..
            } => {
                self.summary(*outcome, counts, *duration);
            }
        }
    }

    fn change(
        &mut self,
        task: &Untrusted,
        summary: &Untrusted,
        diff: Option<&Untrusted>,
        applied: bool,
    ) {
        let summary = summary.escaped();
        let said = match (applied, summary.starts_with("would ")) {
            (false, false) => format!("would {summary}"),
            _ => summary,
        };
        let (mark, said) = (self.paint.warning("~"), self.paint.dim(&said));
        self.under(task, format!("  {mark} {said}"));
        if let Some(diff) = diff {
            self.diff(task, diff);
        }
    }

    fn emitted(&mut self, task: &Untrusted, kind: &Untrusted, data: &Value, applied: bool) {
        let verb = if applied { "emit" } else { "would emit" };
        let data = match data.as_map() {
            Some(entries) if entries.is_empty() => String::new(),
            _ => format!(" {}", Untrusted::new(super::json::line(data)).escaped()),
        };
        let said = format!("{verb} {}{}", kind.escaped(), cut(&data));
        let (mark, said) = (self.paint.warning("»"), self.paint.dim(&said));
        self.under(task, format!("  {mark} {said}"));
    }

    fn level(&self, level: Level) -> String {
        match level {
            Level::Info | Level::Print => String::new(),
            Level::Debug => self.paint.dim("debug: "),
            Level::Success => self.paint.good("✓ "),
            Level::Warn => self.paint.warning("warning: "),
            Level::Error => self.paint.bad("error: "),
        }
    }

    /// Shows a line under its task: now, or once the task ends.
    fn under(&mut self, task: &Untrusted, line: String) {
        match self.steps.get_mut(task) {
            Some(shown) if self.parallel => shown.lines.push(line),
            _ => self.progress.line(&line),
        }
    }

    fn keep_output(&mut self, task: &Untrusted, text: &Untrusted) {
        let Some(shown) = self.steps.get_mut(task) else {
            return;
        };
        shown.output.push_str(text.raw());
        if shown.output.len() > 2 * MAX_SHOWN {
            let start = shown
                .output
                .ceil_char_boundary(shown.output.len() - MAX_SHOWN);
            shown.output.drain(..start);
            shown.cut = true;
        }
    }

    fn diff(&mut self, task: &Untrusted, diff: &Untrusted) {
        for line in diff.escaped_lines().lines() {
            let painted = match line.as_bytes().first() {
                Some(b'+') => self.paint.good(line),
                Some(b'-') => self.paint.bad(line),
                _ => self.paint.dim(line),
            };
            self.under(task, format!("    {painted}"));
        }
    }

    fn finished(
        &mut self,
        task: &Untrusted,
        outcome: Outcome,
        message: &Untrusted,
        place: &Place<'_>,
        duration: Duration,
    ) {
        self.progress.end(task);
        let shown = self.steps.remove(task);
        let began = shown.is_some();
        let shown = shown.unwrap_or_default();
        if self.parallel && began {
            self.progress.line(&format!("▸ {}", task.escaped()));
            for line in &shown.lines {
                self.progress.line(line);
            }
        }
        if !outcome.succeeded() && began {
            self.output(&shown);
        }
        let time = if began {
            spoken(duration)
        } else {
            String::new()
        };
        let word = self.paint.outcome(outcome, outcome.word());
        let location = place
            .location
            .map_or_else(String::new, |at| format!("{}: ", at.escaped()));
        let mut said = message.escaped_lines();
        if outcome == Outcome::Denied {
            // The refusal stands above already, with its remedy.
            "a refusal that the task did not catch".clone_into(&mut said);
        }
        let mut lines = said.lines();
        let first = lines.next().unwrap_or_default();
        let head = if began {
            format!("  {word} {}", self.paint.dim(&time))
        } else {
            format!("▸ {} {word}", task.escaped())
        };
        let rest = if first.is_empty() {
            String::new()
        } else {
            format!(" {location}{first}")
        };
        self.progress.line(format!("{head}{rest}").trim_end());
        for line in lines {
            self.progress.line(&format!("    {line}"));
        }
        if let (false, Some(traceback)) = (outcome.succeeded(), place.traceback) {
            for line in traceback.escaped_lines().lines() {
                self.progress.line(&format!("    {}", self.paint.dim(line)));
            }
        }
        let message = if outcome.succeeded() {
            String::new()
        } else {
            first.to_owned()
        };
        self.table.push(Row {
            task: task.escaped(),
            outcome,
            time,
            message,
        });
    }

    /// What a failed task's programs printed.
    fn output(&self, shown: &Shown) {
        if shown.cut {
            self.progress.line(&format!(
                "  {}",
                self.paint.dim("│ … (earlier output is left out)")
            ));
        }
        let start = shown.output.len().saturating_sub(MAX_SHOWN);
        let text = &shown.output[shown.output.ceil_char_boundary(start)..];
        for line in Untrusted::new(text).escaped_lines().lines() {
            self.progress
                .line(&format!("  {} {line}", self.paint.dim("│")));
        }
    }

    fn log(&mut self, task: &Untrusted, level: Level, message: &Untrusted) {
        for (index, line) in message.escaped_lines().lines().enumerate() {
            let mark = if index == 0 {
                self.level(level)
            } else {
                String::new()
            };
            // The bar tells what a task says from what the runner says of it.
            let bar = self.paint.dim("│");
            self.under(task, format!("  {bar} {mark}{line}"));
        }
    }

    fn retrying(
        &mut self,
        task: &Untrusted,
        attempt: u32,
        outcome: Outcome,
        message: &Untrusted,
        delay: Duration,
    ) {
        let why = if message.is_empty() {
            String::new()
        } else {
            format!(": {}", message.escaped())
        };
        let (mark, word) = (self.paint.warning("↻"), outcome.word());
        let again = spoken(delay);
        self.under(
            task,
            format!("  {mark} attempt {attempt} {word}{why}; again in {again}"),
        );
    }

    fn summary(&mut self, outcome: Outcome, counts: &Counts, duration: Duration) {
        let table = std::mem::take(&mut self.table);
        if table.len() > 1 {
            self.progress.line("");
            let width = table
                .iter()
                .map(|row| row.task.chars().count())
                .max()
                .unwrap_or(0)
                .min(32);
            for row in &table {
                let task: String = row.task.chars().take(width).collect();
                let room = 80_usize.saturating_sub(width + 24);
                let message: String = row.message.chars().take(room).collect();
                let word = self
                    .paint
                    .outcome(row.outcome, &format!("{:<9}", row.outcome.word()));
                let line = format!("  {task:<width$}  {word}  {:>8}  {message}", row.time);
                self.progress.line(line.trim_end());
            }
            self.progress.line("");
        }
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
        .map(|(count, outcome)| {
            self.paint
                .outcome(outcome, &format!("{count} {}", outcome.word()))
        })
        .collect();
        let word = match (self.check, outcome) {
            (true, Outcome::Changed) => "would change".to_owned(),
            _ => outcome.word().to_owned(),
        };
        let word = self.paint.bold(&self.paint.outcome(outcome, &word));
        let time = self.paint.dim(&spoken(duration));
        self.progress
            .line(&format!("{word}: {} in {time}", parts.join(", ")));
    }
}

struct Place<'a> {
    location: Option<&'a Untrusted>,
    traceback: Option<&'a Untrusted>,
}

/// As much of an event's data as one reads; programs get all of it.
fn cut(data: &str) -> String {
    const READ: usize = 200;
    match data.char_indices().nth(READ) {
        None => data.to_owned(),
        Some((end, _)) => format!("{}…", &data[..end]),
    }
}

fn count(tasks: usize) -> String {
    if tasks == 1 {
        "1 task".to_owned()
    } else {
        format!("{tasks} tasks")
    }
}

/// A duration in as many digits as one reads.
fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match duration.as_millis() {
        0..=999 => format!("{} ms", duration.as_millis()),
        1000..=59_999 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}
