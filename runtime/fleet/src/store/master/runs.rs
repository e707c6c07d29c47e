//! Runs: what was submitted, where it is, and how it ended.

use std::collections::BTreeSet;
use std::time::SystemTime;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sloth_workflow::{Counts, Outcome, Untrusted};

use super::error::{Error, Failure};
use super::writer::Writing;
use super::{Store, contents, locks, pipelines};
use crate::store::file::{count, milliseconds, moment};

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Denied,
}

const BEGIN: &str =
    "UPDATE run SET state = 'running', begun = ?2 WHERE sequence = ?1 AND state = 'queued'";

/// What is asked to be run.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Drawn by whoever submits; no other run has it.
    pub id: String,
    /// The same submitter's submission with the same key is the same run.
    pub idempotency_key: Option<String>,
    /// As the certificate or key proves.
    pub submitter: String,
    pub submitted: SystemTime,
    pub stack: String,
    pub workflow: String,
    /// Digest of the workflow's files, as a policy's rule names it.
    pub bundle: String,
    /// The content that the encoded bundle is, by the digits of its digest. It must be kept already.
    pub content: Option<String>,
    /// The contents that its large files are, likewise.
    pub apart: Vec<String>,
    /// CBOR of the plan.
    pub plan: Vec<u8>,
    /// All that was asked, in whatever form the scheduler reads it from again.
    pub request: Vec<u8>,
    /// Each of them gets the whole workflow.
    pub targets: Vec<String>,
    /// Every agent on which it has steps.
    pub reached: Vec<String>,
    pub check: bool,
}

/// The answer to a submission.
#[derive(Clone, Debug)]
pub struct Submitted {
    pub run: Run,
    /// Whether an earlier submission had the same idempotency key.
    pub known: bool,
    /// How many were submitted before it and with it.
    pub sequence: u64,
}

/// A run, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub id: String,
    pub submitter: String,
    pub stack: String,
    pub workflow: String,
    /// Digest of the workflow's files, as a policy's rule names it.
    pub bundle: String,
    pub check: bool,
    pub state: RunState,
    /// Somebody asked for its end.
    pub cancelling: bool,
    pub submitted: SystemTime,
    pub finished: Option<SystemTime>,
    pub outcome: Option<Outcome>,
    pub counts: Counts,
    pub targets: Vec<String>,
    /// The number of its last event.
    pub events: u64,
}

/// What only the scheduler, or whoever looks at one run, asks for.
#[derive(Clone, Debug)]
pub struct Detail {
    pub run: Run,
    /// The content that the encoded bundle is.
    pub content: Option<String>,
    pub plan: Vec<u8>,
    pub request: Vec<u8>,
    /// CBOR of a map, once it has ended.
    pub outputs: Option<Vec<u8>>,
}

/// How a run, or its part on one target, ended.
#[derive(Clone, Debug)]
pub struct Ending {
    pub outcome: Outcome,
    pub counts: Counts,
    /// CBOR of a map.
    pub outputs: Vec<u8>,
    pub time: SystemTime,
}

impl RunState {
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Denied,
    ];

    /// Where a run with this outcome is.
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok | Outcome::Changed => Self::Succeeded,
            Outcome::Failed | Outcome::Skipped | Outcome::TimedOut | Outcome::Unreachable => {
                Self::Failed
            }
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Denied => Self::Denied,
        }
    }

    /// As users read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
        }
    }

    /// The state that is spelt so.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing more comes of it.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl Store {
    /// Keeps a submission, or finds the one that had the same key.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, Error> {
        self.write("submit", move |writing| {
            submit(writing.connection, &submission)
        })
        .await
    }

    pub async fn run(&self, id: &str) -> Result<Run, Error> {
        let id = id.to_owned();
        self.read("run", move |connection| {
            Ok(row(connection, sequence(connection, &id)?)?)
        })
        .await
    }

    pub async fn detail(&self, id: &str) -> Result<Detail, Error> {
        let id = id.to_owned();
        self.read("detail", move |connection| {
            let sequence = sequence(connection, &id)?;
            let run = row(connection, sequence)?;
            let mut statement = connection.prepare_cached(
                "SELECT content, plan, request, outputs FROM run_detail WHERE run = ?1",
            )?;
            Ok(statement.query_row([sequence], |row| {
                Ok(Detail {
                    run,
                    content: row.get(0)?,
                    plan: row.get(1)?,
                    request: row.get(2)?,
                    outputs: row.get(3)?,
                })
            })?)
        })
        .await
    }

    /// The runs that have not ended, those first that had begun, and the oldest first of each: what a master goes on
    /// with when it comes up.
    pub async fn open_runs(&self) -> Result<Vec<Run>, Error> {
        self.read("open_runs", |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{COLUMNS} FROM run WHERE state IN ('queued', 'running') ORDER BY state DESC, sequence"
            ))?;
            let runs = statement.query_map([], from_row)?;
            Ok(runs.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Those of these runs that go on.
    pub async fn going_on(&self, ids: Vec<String>) -> Result<BTreeSet<String>, Error> {
        self.read("going_on", move |connection| {
            let mut statement = connection
                .prepare_cached("SELECT 1 FROM run WHERE id = ?1 AND finished IS NULL")?;
            let mut going_on = BTreeSet::new();
            for id in ids {
                if statement.exists([&id])? {
                    going_on.insert(id);
                }
            }
            Ok(going_on)
        })
        .await
    }

    /// A queued run begins. Otherwise it stays as it is.
    pub async fn begin(&self, id: &str) -> Result<Run, Error> {
        self.change_run("begin", id, BEGIN).await
    }

    /// Asks for the end of a run that has not ended. A master that comes up again goes on with that.
    pub async fn cancel(&self, id: &str) -> Result<Run, Error> {
        self.change_run(
            "cancel",
            id,
            "UPDATE run SET cancelling = ?2 WHERE sequence = ?1 AND cancelling = 0 AND finished IS NULL",
        )
        .await
    }

    async fn change_run(
        &self,
        name: &'static str,
        id: &str,
        sql: &'static str,
    ) -> Result<Run, Error> {
        let id = id.to_owned();
        self.write(name, move |writing| {
            let sequence = sequence(writing.connection, &id)?;
            writing
                .connection
                .prepare_cached(sql)?
                .execute([sequence, milliseconds(SystemTime::now())])?;
            Ok(row(writing.connection, sequence)?)
        })
        .await
    }

    /// Ends a run, and gives its locks back. The first end counts; a later one changes nothing.
    pub async fn finish(&self, id: &str, ending: Ending) -> Result<Run, Error> {
        let id = id.to_owned();
        self.write("finish", move |writing| {
            let sequence = sequence(writing.connection, &id)?;
            end(writing, sequence, &ending)?;
            Ok(row(writing.connection, sequence)?)
        })
        .await
    }
}

/// Ends a run, and gives its locks back, unless it has ended.
pub(super) fn end(
    writing: &mut Writing<'_>,
    sequence: i64,
    ending: &Ending,
) -> Result<(), Failure> {
    let ended = writing
        .connection
        .prepare_cached(
            "UPDATE run SET state = ?2, outcome = ?3, counts = ?4, finished = ?5
             WHERE sequence = ?1 AND finished IS NULL",
        )?
        .execute(params![
            sequence,
            RunState::of(ending.outcome),
            ending.outcome.word(),
            pipelines::counts_text(&ending.counts),
            milliseconds(ending.time),
        ])?;
    if ended > 0 {
        writing
            .connection
            .prepare_cached("UPDATE run_detail SET outputs = ?2 WHERE run = ?1")?
            .execute(params![sequence, ending.outputs])?;
        locks::release_all(writing, sequence)?;
    }
    Ok(())
}

/// A queued run begins. Otherwise it stays as it is.
pub(super) fn begin(connection: &Connection, sequence: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(BEGIN)?
        .execute(params![sequence, milliseconds(SystemTime::now())])?;
    Ok(())
}

fn submit(connection: &Connection, submission: &Submission) -> Result<Submitted, Failure> {
    if let Some((sequence, run)) = known(connection, submission)? {
        return Ok(Submitted {
            run,
            known: true,
            sequence: unsigned(sequence),
        });
    }
    connection
        .prepare_cached(
            "INSERT INTO run (id, submitter, idempotency_key, stack, workflow, bundle, checking, state, submitted)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', ?8)",
        )?
        .execute(params![
            submission.id,
            submission.submitter,
            submission.idempotency_key,
            submission.stack,
            submission.workflow,
            submission.bundle,
            submission.check,
            milliseconds(submission.submitted),
        ])?;
    let sequence = connection.last_insert_rowid();
    connection
        .prepare_cached(
            "INSERT INTO run_detail (run, content, plan, request) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            sequence,
            submission.content,
            submission.plan,
            submission.request
        ])?;
    pipelines::insert(connection, sequence, &submission.targets)?;
    let mut reaching = connection.prepare_cached(
        "INSERT INTO run_target (run, target) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?;
    for target in &submission.reached {
        reaching.execute(params![sequence, target])?;
    }
    for content in submission.content.iter().chain(&submission.apart) {
        contents::note_use(connection, sequence, content)?;
    }
    Ok(Submitted {
        run: row(connection, sequence)?,
        known: false,
        sequence: unsigned(sequence),
    })
}

fn unsigned(sequence: i64) -> u64 {
    u64::try_from(sequence).unwrap_or(0)
}

/// The run of an earlier submission with the same key.
fn known(connection: &Connection, submission: &Submission) -> Result<Option<(i64, Run)>, Failure> {
    let Some(key) = &submission.idempotency_key else {
        return Ok(None);
    };
    let sequence = connection
        .prepare_cached("SELECT sequence FROM run WHERE submitter = ?1 AND idempotency_key = ?2")?
        .query_row([&submission.submitter, key], |row| row.get(0))
        .optional()?;
    let Some(sequence) = sequence else {
        return Ok(None);
    };
    let run = row(connection, sequence)?;
    let same = run.stack == submission.stack
        && run.workflow == submission.workflow
        && run.bundle == submission.bundle
        && run.targets == submission.targets
        && run.check == submission.check;
    if same {
        return Ok(Some((sequence, run)));
    }
    Err(Failure::Said(Error::KeyTaken {
        key: Untrusted::new(key.as_str()),
        stack: Untrusted::new(run.stack).escaped(),
        workflow: Untrusted::new(run.workflow).escaped(),
    }))
}

/// The number that a run is known by inside.
pub(super) fn sequence(connection: &Connection, id: &str) -> Result<i64, Failure> {
    find(connection, id)?.ok_or_else(|| Failure::Said(Error::NoRun(id.into())))
}

/// As [`sequence`]; none where there is no such run.
pub(super) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT sequence FROM run WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()
}

/// Whether nothing more comes of a run.
pub(super) fn has_ended(connection: &Connection, run: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM run WHERE sequence = ?1 AND finished IS NOT NULL")?
        .exists([run])
}

pub(super) const COLUMNS: &str =
    "SELECT run.id, submitter, stack, workflow, bundle, checking, state, cancelling, submitted,
    finished, run.outcome, run.counts, events, (SELECT json_group_array(target) FROM
    (SELECT target FROM pipeline WHERE pipeline.run = sequence ORDER BY position))";

fn row(connection: &Connection, sequence: i64) -> rusqlite::Result<Run> {
    connection
        .prepare_cached(&format!("{COLUMNS} FROM run WHERE sequence = ?1"))?
        .query_row([sequence], from_row)
}

pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        id: row.get(0)?,
        submitter: row.get(1)?,
        stack: row.get(2)?,
        workflow: row.get(3)?,
        bundle: row.get(4)?,
        check: row.get(5)?,
        state: row.get(6)?,
        cancelling: row.get(7)?,
        submitted: moment(row.get(8)?),
        finished: row.get::<_, Option<i64>>(9)?.map(moment),
        outcome: pipelines::outcome(row.get(10)?),
        counts: pipelines::counts(row.get(11)?),
        events: count(row, 12)?,
        targets: serde_json::from_str(&row.get::<_, String>(13)?).unwrap_or_default(),
    })
}

impl ToSql for RunState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.word().into())
    }
}

impl FromSql for RunState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_word(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}
