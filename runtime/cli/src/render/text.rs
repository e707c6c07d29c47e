//! Events for people: what a task logs and changes as it happens, what its programs print only when
//! it fails, and a table at the end.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use sloth_workflow::event::Level;
use sloth_workflow::{Event, Outcome, Record, Untrusted, Value};

use super::progress::Progress;
use super::screen::Paint;
use super::summary::{self, Row, Table};

/// Most bytes of a failed task's program output that are shown: its end.
const MAX_SHOWN: usize = 256 << 10;

/// Shows one run.
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub(super) struct Text {
    paint: Paint,
    /// Steps run beside each other: each is shown whole once it ends.
    parallel: bool,
    check: bool,
    /// More targets than one reads about: only what goes wrong is shown of each step.
    crowd: bool,
    /// What programs print is shown as it comes, and not only where the step fails.
    all: bool,
    progress: Progress,
    /// By the label of the step.
    steps: HashMap<String, Shown>,
    table: Table,
    /// How steps of a crowd went wrong, as it was shown: what many say alike is shown once.
    told: HashSet<u64>,
}

/// With more targets than these, they are a crowd.
const FEW: usize = 8;

/// What is kept of a running step.
#[derive(Default)]
struct Shown {
    lines: Vec<String>,
    output: String,
    cut: bool,
}

impl Text {
    /// `targets` is how many machines take part.
    pub(super) fn new(paint: Paint, parallel: bool, targets: usize) -> Self {
        let crowd = targets > FEW;
        Self {
            paint,
            parallel: parallel || targets > 1,
            check: false,
            crowd,
            all: false,
            progress: Progress::new(crowd),
            steps: HashMap::new(),
            table: Table::of(crowd),
            told: HashSet::new(),
        }
    }

    /// The same with all that programs print.
    pub(super) fn with_output(mut self) -> Self {
        self.all = true;
        self
    }

    /// Shows what is kept of steps whose end never came.
    pub(super) fn rest(&mut self) {
        let mut steps: Vec<_> = self.steps.drain().collect();
        steps.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (label, shown) in steps {
            if !shown.lines.is_empty() {
                self.progress.line(&format!("▸ {label}"));
            }
            for line in &shown.lines {
                self.progress.line(line);
            }
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each kind of event, beside each other"
    )]
    pub(super) fn show(&mut self, record: &Record) {
        let paint = self.paint;
        let label = |task: &Untrusted| label(task, record.target.as_deref());
        match &record.event {
            Event::RunStarted {
                stack,
                workflow,
                check,
                tasks,
                ..
            } => {
                self.check = *check;
                self.table.begin(tasks.len());
                let mode = if *check {
                    ", check mode: nothing is changed"
                } else {
                    ""
                };
                let title = paint.bold(&format!("{} / {}", stack.escaped(), workflow.escaped()));
                self.progress.line(&format!(
                    "{title} {}",
                    paint.dim(&format!("{}{mode}", summary::count(tasks.len())))
                ));
            }
            Event::StepStarted { task, .. } => {
                let label = label(task);
                if !self.parallel {
                    self.progress.line(&format!("▸ {label}"));
                }
                self.progress.begin(&task.escaped(), &label);
                self.steps.insert(label, Shown::default());
            }
            Event::StepRetrying {
                task,
                attempt,
                outcome,
                message,
                delay,
            } => {
                self.retrying(&label(task), *attempt, *outcome, message, *delay);
            }
            Event::Log {
                task,
                level,
                message,
            } => {
                self.log(&label(task), *level, message);
            }
            Event::Output { task, text, .. } => self.keep_output(&label(task), text),
            Event::Change {
                task,
                summary,
                diff,
                applied,
                ..
            } => {
                self.change(&label(task), summary, diff.as_ref(), *applied);
            }
            Event::Emitted {
                task,
                kind,
                data,
                applied,
            } => {
                self.emitted(&label(task), kind, data, *applied);
            }
            Event::Denial { task, denial } => {
                let message = Untrusted::new(denial.message.as_str()).escaped();
                self.under(
                    &label(task),
                    format!("  {} {message}", paint.bad("denied:")),
                );
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
                let end = End {
                    task: task.escaped(),
                    label: label(task),
                    outcome: *outcome,
                    message,
                    location: location.as_ref(),
                    traceback: traceback.as_ref(),
                    duration: *duration,
                };
                self.finished(&end);
            }
            Event::RunFinished {
                outcome,
                counts,
                duration,
                ..
            } => {
                self.progress.clear();
                for line in self.table.lines(self.paint) {
                    self.progress.line(&line);
                }
                let end = summary::end(self.paint, *outcome, counts, *duration, self.check);
                self.progress.line(&end);
            }
        }
    }

    fn change(
        &mut self,
        label: &str,
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
        self.under(label, format!("  {mark} {said}"));
        if let Some(diff) = diff {
            self.diff(label, diff);
        }
    }

    fn emitted(&mut self, label: &str, kind: &Untrusted, data: &Value, applied: bool) {
        let verb = if applied { "emit" } else { "would emit" };
        let data = match data.as_map() {
            Some(entries) if entries.is_empty() => String::new(),
            _ => format!(" {}", Untrusted::new(super::json::line(data)).escaped()),
        };
        let said = format!("{verb} {}{}", kind.escaped(), cut(&data));
        let (mark, said) = (self.paint.warning("»"), self.paint.dim(&said));
        self.under(label, format!("  {mark} {said}"));
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
    fn under(&mut self, label: &str, line: String) {
        match self.steps.get_mut(label) {
            Some(shown) if self.parallel => shown.lines.push(line),
            _ => self.progress.line(&line),
        }
    }

    fn keep_output(&mut self, label: &str, text: &Untrusted) {
        if self.all {
            for line in text.escaped_lines().lines() {
                self.under(label, format!("  {} {line}", self.paint.dim("│")));
            }
            return;
        }
        let Some(shown) = self.steps.get_mut(label) else {
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

    fn diff(&mut self, label: &str, diff: &Untrusted) {
        for line in diff.escaped_lines().lines() {
            let painted = match line.as_bytes().first() {
                Some(b'+') => self.paint.good(line),
                Some(b'-') => self.paint.bad(line),
                _ => self.paint.dim(line),
            };
            self.under(label, format!("    {painted}"));
        }
    }

    fn finished(&mut self, end: &End<'_>) {
        let outcome = end.outcome;
        self.progress
            .end(&end.task, &end.label, outcome.succeeded());
        let shown = self.steps.remove(&end.label);
        let began = shown.is_some();
        let shown = shown.unwrap_or_default();
        let told = !self.crowd || outcome.is_failure() && self.is_news(end, &shown);
        if told && self.parallel && began {
            self.progress.line(&format!("▸ {}", end.label));
            for line in &shown.lines {
                self.progress.line(line);
            }
        }
        if told && !outcome.succeeded() && began {
            self.output(&shown);
        }
        let time = if began {
            summary::spoken(end.duration)
        } else {
            String::new()
        };
        let said = end.said();
        let mut lines = said.lines();
        let first = lines.next().unwrap_or_default();
        if told {
            let word = self.paint.outcome(outcome, outcome.word());
            let head = if began {
                format!("  {word} {}", self.paint.dim(&time))
            } else {
                format!("▸ {} {word}", end.label)
            };
            let rest = if first.is_empty() {
                String::new()
            } else {
                let location = end
                    .location
                    .map_or_else(String::new, |at| format!("{}: ", at.escaped()));
                format!(" {location}{first}")
            };
            self.progress.line(format!("{head}{rest}").trim_end());
            for line in lines {
                self.progress.line(&format!("    {line}"));
            }
            if let (false, Some(traceback)) = (outcome.succeeded(), end.traceback) {
                for line in traceback.escaped_lines().lines() {
                    self.progress.line(&format!("    {}", self.paint.dim(line)));
                }
            }
        }
        let message = if outcome.succeeded() {
            String::new()
        } else {
            first.to_owned()
        };
        self.table.add(Row {
            task: end.task.clone(),
            label: end.label.clone(),
            outcome,
            time,
            message,
        });
    }

    /// Whether no other step of the same task has gone wrong in just this way.
    fn is_news(&mut self, end: &End<'_>, shown: &Shown) -> bool {
        let mut hasher = DefaultHasher::new();
        (&end.task, end.outcome.word(), end.said()).hash(&mut hasher);
        (&shown.lines, &shown.output).hash(&mut hasher);
        self.told.insert(hasher.finish())
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

    fn log(&mut self, label: &str, level: Level, message: &Untrusted) {
        for (index, line) in message.escaped_lines().lines().enumerate() {
            let mark = if index == 0 {
                self.level(level)
            } else {
                String::new()
            };
            // The bar tells what a task says from what the runner says of it.
            let bar = self.paint.dim("│");
            self.under(label, format!("  {bar} {mark}{line}"));
        }
    }

    fn retrying(
        &mut self,
        label: &str,
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
        let again = summary::spoken(delay);
        self.under(
            label,
            format!("  {mark} attempt {attempt} {word}{why}; again in {again}"),
        );
    }
}

/// How a step ended.
struct End<'a> {
    task: String,
    label: String,
    outcome: Outcome,
    message: &'a Untrusted,
    location: Option<&'a Untrusted>,
    traceback: Option<&'a Untrusted>,
    duration: Duration,
}

impl End<'_> {
    fn said(&self) -> String {
        if self.outcome == Outcome::Denied {
            // The refusal stands above already, with its remedy.
            return "a refusal that the task did not catch".to_owned();
        }
        self.message.escaped_lines()
    }
}

/// A task as it is called on the screen, with its target where there is one to name.
fn label(task: &Untrusted, target: Option<&str>) -> String {
    match target {
        Some(target) => format!("{} on {}", task.escaped(), Untrusted::new(target).escaped()),
        None => task.escaped(),
    }
}

/// As much of an event's data as one reads; programs get all of it.
fn cut(data: &str) -> String {
    const READ: usize = 200;
    match data.char_indices().nth(READ) {
        None => data.to_owned(),
        Some((end, _)) => format!("{}…", &data[..end]),
    }
}
