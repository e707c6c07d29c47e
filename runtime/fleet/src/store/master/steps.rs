//! Steps: how far each task is on each target, as the events of the run tell.

use rusqlite::{Connection, params};
use sloth_workflow::{Event, Outcome, Untrusted};

use super::error::Error;
use super::{Store, pipelines, runs};

/// Where steps without a target happened.
const HERE: &str = "local";

/// Most bytes of a message in the list; the event has all of it.
const MESSAGE: usize = 1024;

/// How far a task is on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub task: Untrusted,
    pub target: String,
    /// From 1; 0 before the first.
    pub attempt: u32,
    /// None while it waits or runs.
    pub outcome: Option<Outcome>,
    pub running: bool,
    pub message: Untrusted,
}

/// What an event says of a step.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    task: String,
    target: String,
    /// None where the event does not tell.
    attempt: Option<u32>,
    running: bool,
    outcome: Option<Outcome>,
    message: String,
}

impl Mark {
    /// None for events that are not about the course of a step.
    pub(super) fn of(event: &Event, target: Option<&str>) -> Option<Self> {
        let (task, attempt, running, outcome, message) = match event {
            Event::StepStarted { task, attempt, .. } => (task, Some(*attempt), true, None, ""),
            Event::StepRetrying {
                task,
                attempt,
                message,
                ..
            } => (task, Some(*attempt), false, None, message.raw()),
            Event::StepFinished {
                task,
                outcome,
                message,
                ..
            } => (task, None, false, Some(*outcome), message.raw()),
            _ => return None,
        };
        Some(Self {
            task: task.raw().to_owned(),
            target: target.unwrap_or(HERE).to_owned(),
            attempt,
            running,
            outcome,
            message: message[..message.floor_char_boundary(MESSAGE)].to_owned(),
        })
    }
}

impl Store {
    /// The steps of a run that anything is known of, in the order in which that began.
    pub async fn steps(&self, run: &str) -> Result<Vec<Step>, Error> {
        let run = run.to_owned();
        self.read("steps", move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT task, target, attempt, outcome, running, message FROM step
                 WHERE run = ?1 ORDER BY first",
            )?;
            let steps = statement.query_map([runs::sequence(connection, &run)?], |row| {
                Ok(Step {
                    task: row.get::<_, String>(0)?.into(),
                    target: row.get(1)?,
                    attempt: row.get(2)?,
                    outcome: pipelines::outcome(row.get(3)?),
                    running: row.get(4)?,
                    message: row.get::<_, String>(5)?.into(),
                })
            })?;
            Ok(steps.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

pub(super) fn apply(
    connection: &Connection,
    run: i64,
    number: u64,
    mark: &Mark,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO step (run, target, task, first, attempt, running, outcome, message)
             VALUES (?1, ?2, ?3, ?4, coalesce(?5, 0), ?6, ?7, ?8)
             ON CONFLICT (run, target, task) DO UPDATE
             SET attempt = coalesce(?5, attempt), running = excluded.running,
                 outcome = excluded.outcome, message = excluded.message",
        )?
        .execute(params![
            run,
            mark.target,
            mark.task,
            i64::try_from(number).unwrap_or(i64::MAX),
            mark.attempt,
            mark.running,
            mark.outcome.map(Outcome::word),
            mark.message,
        ])?;
    Ok(())
}
