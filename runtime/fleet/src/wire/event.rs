//! Events and refusals.

use sloth_policy::{Capability, Denial};
use sloth_workflow::{Event, Untrusted, cbor};

use super::generated::event as sent;
use super::generated::event::Kind;
use super::{Malformed, generated, value, words};

impl From<&Event> for generated::Event {
    fn from(event: &Event) -> Self {
        Self {
            kind: Some(kind(event)),
        }
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one arm for each kind, which belong beside each other"
)]
fn kind(event: &Event) -> Kind {
    match event {
        Event::RunStarted {
            run,
            stack,
            workflow,
            bundle,
            check,
            tasks,
        } => Kind::RunStarted(sent::RunStarted {
            run: run.clone(),
            stack: raw(stack),
            workflow: raw(workflow),
            bundle: bundle.clone(),
            check: *check,
            tasks: tasks.iter().map(raw).collect(),
        }),
        Event::StepStarted {
            task,
            target,
            attempt,
        } => Kind::StepStarted(sent::StepStarted {
            task: raw(task),
            target: target.clone(),
            attempt: *attempt,
        }),
        Event::StepRetrying {
            task,
            attempt,
            outcome,
            message,
            delay,
        } => Kind::StepRetrying(sent::StepRetrying {
            task: raw(task),
            attempt: *attempt,
            outcome: words::outcome_number(*outcome),
            message: raw(message),
            delay: Some(value::length_sent(*delay)),
        }),
        Event::Log {
            task,
            level,
            message,
        } => Kind::Log(sent::Log {
            task: raw(task),
            level: words::level_number(*level),
            message: raw(message),
        }),
        Event::Output { task, stream, text } => Kind::Output(sent::Output {
            task: raw(task),
            stream: words::stream_number(*stream),
            text: raw(text),
        }),
        Event::Change {
            task,
            capability,
            summary,
            diff,
            applied,
        } => Kind::Change(sent::Change {
            task: raw(task),
            capability: (*capability).to_owned(),
            summary: raw(summary),
            diff: diff.as_ref().map(raw),
            applied: *applied,
        }),
        Event::Emitted {
            task,
            kind,
            data,
            applied,
        } => Kind::Emitted(sent::Emitted {
            task: raw(task),
            r#type: raw(kind),
            data: cbor::encode(data),
            applied: *applied,
        }),
        Event::Denial { task, denial } => Kind::Refused(sent::Refused {
            task: raw(task),
            denial: Some(denial.into()),
        }),
        Event::StepFinished {
            task,
            outcome,
            message,
            location,
            traceback,
            outputs,
            duration,
        } => Kind::StepFinished(sent::StepFinished {
            task: raw(task),
            outcome: words::outcome_number(*outcome),
            message: raw(message),
            location: location.as_ref().map(raw),
            traceback: traceback.as_ref().map(raw),
            outputs: cbor::encode(outputs),
            duration: Some(value::length_sent(*duration)),
        }),
        Event::RunFinished {
            outcome,
            counts,
            outputs,
            duration,
        } => Kind::RunFinished(sent::RunFinished {
            outcome: words::outcome_number(*outcome),
            counts: Some((*counts).into()),
            outputs: cbor::encode(outputs),
            duration: Some(value::length_sent(*duration)),
        }),
    }
}

impl TryFrom<generated::Event> for Event {
    type Error = Malformed;

    fn try_from(event: generated::Event) -> Result<Self, Malformed> {
        Ok(
            match event.kind.ok_or(Malformed::Missing("what happened"))? {
                Kind::RunStarted(started) => Self::RunStarted {
                    run: started.run,
                    stack: started.stack.into(),
                    workflow: started.workflow.into(),
                    bundle: started.bundle,
                    check: started.check,
                    tasks: started.tasks.into_iter().map(Untrusted::from).collect(),
                },
                Kind::StepStarted(started) => Self::StepStarted {
                    task: started.task.into(),
                    target: started.target,
                    attempt: started.attempt,
                },
                Kind::StepRetrying(retrying) => Self::StepRetrying {
                    task: retrying.task.into(),
                    attempt: retrying.attempt,
                    outcome: words::outcome(retrying.outcome)?,
                    message: retrying.message.into(),
                    delay: value::length("the delay", retrying.delay)?,
                },
                Kind::Log(log) => Self::Log {
                    task: log.task.into(),
                    level: words::level(log.level),
                    message: log.message.into(),
                },
                Kind::Output(output) => Self::Output {
                    task: output.task.into(),
                    stream: words::stream(output.stream),
                    text: output.text.into(),
                },
                Kind::Change(change) => Self::Change {
                    task: change.task.into(),
                    capability: capability(change.capability)?,
                    summary: change.summary.into(),
                    diff: change.diff.map(Untrusted::from),
                    applied: change.applied,
                },
                Kind::Emitted(emitted) => Self::Emitted {
                    task: emitted.task.into(),
                    kind: emitted.r#type.into(),
                    data: value::any("the event's data", &emitted.data, value::DATA)?,
                    applied: emitted.applied,
                },
                Kind::Refused(refused) => Self::Denial {
                    task: refused.task.into(),
                    denial: refused
                        .denial
                        .ok_or(Malformed::Missing("the refusal"))?
                        .try_into()?,
                },
                Kind::StepFinished(finished) => Self::StepFinished {
                    task: finished.task.into(),
                    outcome: words::outcome(finished.outcome)?,
                    message: finished.message.into(),
                    location: finished.location.map(Untrusted::from),
                    traceback: finished.traceback.map(Untrusted::from),
                    outputs: value::map("the outputs", &finished.outputs, value::DATA)?,
                    duration: value::length("the duration", finished.duration)?,
                },
                Kind::RunFinished(finished) => Self::RunFinished {
                    outcome: words::outcome(finished.outcome)?,
                    counts: finished.counts.unwrap_or_default().into(),
                    outputs: value::map("the outputs", &finished.outputs, value::WHOLE)?,
                    duration: value::length("the duration", finished.duration)?,
                },
            },
        )
    }
}

impl From<&Denial> for generated::Denial {
    fn from(denial: &Denial) -> Self {
        Self {
            capability: denial.capability.clone(),
            subject: denial.subject.clone(),
            layer: words::layer_number(denial.layer),
            message: denial.message.clone(),
            remedy: denial.remedy.clone(),
        }
    }
}

impl TryFrom<generated::Denial> for Denial {
    type Error = Malformed;

    fn try_from(denial: generated::Denial) -> Result<Self, Malformed> {
        Ok(Self {
            capability: denial.capability,
            subject: denial.subject,
            layer: words::layer(denial.layer)?,
            // Where a denial is made its message is fit for a terminal; where it comes from, nobody knows.
            message: Untrusted::new(denial.message).escaped(),
            remedy: denial.remedy,
        })
    }
}

/// The policy's own word for a key: events hold it as that, and nobody can make up another.
fn capability(name: String) -> Result<&'static str, Malformed> {
    match Capability::from_name(&name) {
        Some(capability) => Ok(capability.name()),
        None => Err(Malformed::Capability(Untrusted::new(name))),
    }
}

fn raw(text: &Untrusted) -> String {
    text.raw().to_owned()
}
