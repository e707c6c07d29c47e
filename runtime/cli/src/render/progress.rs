//! On a terminal, a line for each running step with its elapsed time; of a crowd of targets, a line for each task.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::screen;

/// What runs, drawn below what is printed. Draws nothing when standard error is no terminal.
pub(super) struct Progress {
    bars: MultiProgress,
    crowd: bool,
    /// By the label of a step; in a crowd, by its task.
    running: HashMap<String, Line>,
}

/// One drawn line.
struct Line {
    bar: ProgressBar,
    running: usize,
    succeeded: usize,
    others: usize,
}

impl Progress {
    pub(super) fn new(crowd: bool) -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            crowd,
            running: HashMap::new(),
        }
    }

    pub(super) fn begin(&mut self, task: &str, label: &str) {
        let name = if self.crowd { task } else { label };
        let bars = &self.bars;
        let line = self.running.entry(name.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = bars.add(ProgressBar::new_spinner().with_style(style));
            bar.enable_steady_tick(Duration::from_millis(120));
            Line {
                bar,
                running: 0,
                succeeded: 0,
                others: 0,
            }
        });
        line.running += 1;
        if self.crowd {
            line.count(task);
        } else {
            line.bar.set_message(label.to_owned());
        }
    }

    pub(super) fn end(&mut self, task: &str, label: &str, succeeded: bool) {
        if !self.crowd {
            if let Some(line) = self.running.remove(label) {
                line.bar.finish_and_clear();
            }
            return;
        }
        if let Some(line) = self.running.get_mut(task) {
            line.running = line.running.saturating_sub(1);
            *(if succeeded {
                &mut line.succeeded
            } else {
                &mut line.others
            }) += 1;
            line.count(task);
        }
    }

    /// Nothing runs any more.
    pub(super) fn clear(&mut self) {
        for (_, line) in self.running.drain() {
            line.bar.finish_and_clear();
        }
    }

    /// Prints above what runs.
    pub(super) fn line(&self, text: &str) {
        self.bars.suspend(|| screen::line(text));
    }
}

impl Line {
    fn count(&self, task: &str) {
        let others = match self.others {
            0 => String::new(),
            others => format!(", {others} not"),
        };
        self.bar.set_message(format!(
            "{task}: {} running, {} succeeded{others}",
            self.running, self.succeeded
        ));
    }
}
