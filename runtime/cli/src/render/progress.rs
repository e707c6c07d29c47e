//! On a terminal, a line for each running step with its elapsed time.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use sloth_workflow::Untrusted;

use super::screen;

/// The running steps, drawn below what is printed. Draws nothing when standard error is no terminal.
pub(super) struct Progress {
    bars: MultiProgress,
    running: HashMap<Untrusted, ProgressBar>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self {
            bars,
            running: HashMap::new(),
        }
    }

    pub(super) fn begin(&mut self, task: &Untrusted) {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = self.bars.add(ProgressBar::new_spinner().with_style(style));
        bar.set_message(task.escaped());
        bar.enable_steady_tick(Duration::from_millis(120));
        self.running.insert(task.clone(), bar);
    }

    pub(super) fn end(&mut self, task: &Untrusted) {
        if let Some(bar) = self.running.remove(task) {
            bar.finish_and_clear();
        }
    }

    /// Prints above the running steps.
    pub(super) fn line(&self, text: &str) {
        self.bars.suspend(|| screen::line(text));
    }
}
