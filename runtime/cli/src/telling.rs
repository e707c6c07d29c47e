//! Where the events of a local run go: they are shown, and written down for later.

use std::sync::Arc;
use std::time::SystemTime;

use sloth_fleet::store::history::Recorder;
use sloth_fleet::store::master::{Ending, Submission};
use sloth_workflow::{Bundle, Event, Workflow, cbor};

use crate::command::{RunOptions, Shared};
use crate::place;
use crate::render::Events;

/// What writes runs down, unless that is not wanted. It gets ready while the workflow is loaded.
pub(crate) fn recorder(
    shared: &Shared,
    options: &RunOptions,
) -> anyhow::Result<Option<Arc<Recorder>>> {
    if options.no_history {
        return Ok(None);
    }
    let data = place::data_folder(shared)?;
    Ok(Some(Arc::new(Recorder::beneath(&data))))
}

/// Takes the events of runs, one after the other.
#[derive(Clone)]
pub(crate) struct Telling {
    events: Events,
    recorder: Option<Arc<Recorder>>,
}

impl Telling {
    pub(crate) fn to(events: Events, recorder: Option<Arc<Recorder>>) -> Self {
        Self { events, recorder }
    }

    /// A run begins.
    pub(crate) fn begin(
        &self,
        run: &str,
        workflow: &Workflow,
        bundle: &Bundle,
        options: &RunOptions,
    ) {
        let digest = bundle.digest();
        if let Some(recorder) = &self.recorder {
            recorder.begin(Submission {
                id: run.to_owned(),
                idempotency_key: None,
                submitter: "local".to_owned(),
                submitted: SystemTime::now(),
                stack: options.stack.clone(),
                workflow: workflow.name.raw().to_owned(),
                bundle: digest.clone(),
                content: None,
                apart: Vec::new(),
                reached: Vec::new(),
                plan: Vec::new(),
                request: Vec::new(),
                targets: vec!["local".to_owned()],
                check: options.check,
            });
        }
        self.send(Event::RunStarted {
            run: run.to_owned(),
            stack: options.stack.as_str().into(),
            workflow: workflow.name.clone(),
            bundle: digest,
            check: options.check,
            tasks: workflow.task_names(),
        });
    }

    pub(crate) fn send(&self, event: Event) {
        let now = SystemTime::now();
        if let Some(recorder) = &self.recorder {
            recorder.happened(&event, now);
            if let Event::RunFinished {
                outcome,
                counts,
                outputs,
                ..
            } = &event
            {
                recorder.end(Ending {
                    outcome: *outcome,
                    counts: *counts,
                    outputs: cbor::encode(outputs),
                    time: now,
                });
            }
        }
        self.events.send(event);
    }

    /// Waits until everything is shown. What is written down is waited for when the last of these goes.
    pub(crate) fn finish(&self) {
        self.events.finish();
    }
}
