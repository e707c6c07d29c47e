//! Runs and their steps as an operator is told of them.

use sloth_workflow::{Counts, Untrusted};

use super::generated::{self, RunDetail, RunInfo, StepInfo};
use super::{Malformed, assign, value, words};
use crate::store::master::{Detail, Run, RunState, Step};

/// A run as the contract has it.
pub fn sent(run: Run) -> RunInfo {
    RunInfo {
        state: state_sent(run.state).into(),
        id: run.id,
        stack: run.stack,
        workflow: run.workflow,
        submitter: run.submitter,
        submitted: Some(run.submitted.into()),
        finished: run.finished.map(Into::into),
        counts: Some(run.counts.into()),
        targets: run.targets,
        check: run.check,
        bundle: run.bundle,
        events: run.events,
        cancelling: run.cancelling,
        outcome: run.outcome.map_or(0, words::outcome_number),
    }
}

/// A run as it was told.
pub fn read(run: RunInfo) -> Result<Run, Malformed> {
    let state = state(run.state()).ok_or(Malformed::Missing("the run's state"))?;
    if !assign::is_run(&run.id) {
        return Err(Malformed::Missing("the run's id"));
    }
    Ok(Run {
        state,
        submitted: value::moment("when the run was submitted", run.submitted)?,
        finished: run
            .finished
            .map(|time| value::moment("when the run ended", Some(time)))
            .transpose()?,
        outcome: match run.outcome {
            0 => None,
            number => Some(words::outcome(number)?),
        },
        counts: run.counts.map(Counts::from).unwrap_or_default(),
        id: run.id,
        stack: run.stack,
        workflow: run.workflow,
        submitter: run.submitter,
        targets: run.targets,
        check: run.check,
        bundle: run.bundle,
        events: run.events,
        cancelling: run.cancelling,
    })
}

/// Most bytes of the messages of all steps in one answer.
const MESSAGES: usize = 4 << 20;

/// A step as the contract has it.
fn step_sent(step: Step) -> StepInfo {
    StepInfo {
        task: step.task.raw().to_owned(),
        target: step.target,
        attempt: step.attempt,
        outcome: step.outcome.map_or(0, words::outcome_number),
        running: step.running,
        message: step.message.raw().to_owned(),
    }
}

/// The steps of a run. Where they are very many their messages are cut, so that all of them fit one answer; the events
/// have them whole.
pub fn steps_sent(steps: Vec<Step>) -> Vec<StepInfo> {
    let whole: usize = steps.iter().map(|step| step.message.raw().len()).sum();
    let each = if whole > MESSAGES {
        MESSAGES / steps.len().max(1)
    } else {
        usize::MAX
    };
    let cut = |text: &mut String| {
        let end = text.char_indices().find(|(at, _)| *at >= each);
        if let Some((at, _)) = end {
            text.truncate(at);
            text.push('…');
        }
    };
    let sent = steps.into_iter().map(|step| {
        let mut sent = step_sent(step);
        cut(&mut sent.message);
        sent
    });
    sent.collect()
}

/// A run with its steps, as it was told.
pub fn read_detail(detail: RunDetail) -> Result<(Detail, Vec<Step>), Malformed> {
    let run = read(detail.run.ok_or(Malformed::Missing("the run"))?)?;
    let steps = detail.steps.into_iter().map(|step| {
        Ok(Step {
            outcome: match step.outcome {
                0 => None,
                number => Some(words::outcome(number)?),
            },
            task: Untrusted::new(step.task),
            target: step.target,
            attempt: step.attempt,
            running: step.running,
            message: Untrusted::new(step.message),
        })
    });
    let steps = steps.collect::<Result<_, Malformed>>()?;
    let detail = Detail {
        run,
        content: None,
        plan: Vec::new(),
        request: Vec::new(),
        outputs: Some(detail.outputs).filter(|outputs| !outputs.is_empty()),
    };
    Ok((detail, steps))
}

/// A state as the contract spells it.
pub fn state_sent(state: RunState) -> generated::RunState {
    match state {
        RunState::Queued => generated::RunState::Queued,
        RunState::Running => generated::RunState::Running,
        RunState::Succeeded => generated::RunState::Succeeded,
        RunState::Failed => generated::RunState::Failed,
        RunState::Cancelled => generated::RunState::Cancelled,
        RunState::Denied => generated::RunState::Denied,
    }
}

/// None for one that is not known here.
pub fn state(state: generated::RunState) -> Option<RunState> {
    let mut known = RunState::ALL.into_iter();
    known.find(|known| state_sent(*known) == state)
}
