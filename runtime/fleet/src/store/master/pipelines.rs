//! Pipelines: the targets of a run, each of which gets the whole workflow.

use rusqlite::{Connection, params};
use sloth_workflow::{Counts, Outcome};

use super::error::{Error, Failure};
use super::{Ending, Store, runs};

/// How a run is on one of its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    pub target: String,
    /// None while it goes on.
    pub outcome: Option<Outcome>,
    pub counts: Counts,
}

impl Store {
    /// The targets of a run, in the order in which they were named.
    pub async fn pipelines(&self, run: &str) -> Result<Vec<Pipeline>, Error> {
        let run = run.to_owned();
        self.read("pipelines", move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT target, outcome, counts FROM pipeline WHERE run = ?1 ORDER BY position",
            )?;
            let pipelines = statement.query_map([runs::sequence(connection, &run)?], |row| {
                Ok(Pipeline {
                    target: row.get(0)?,
                    outcome: outcome(row.get(1)?),
                    counts: counts(row.get(2)?),
                })
            })?;
            Ok(pipelines.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Ends a run on one of its targets. The first end counts; a later one changes nothing.
    pub async fn finish_pipeline(
        &self,
        run: &str,
        target: &str,
        ending: Ending,
    ) -> Result<(), Error> {
        let (run, target) = (run.to_owned(), target.to_owned());
        self.write("finish_pipeline", move |writing| {
            let sequence = runs::sequence(writing.connection, &run)?;
            writing
                .connection
                .prepare_cached(
                    "UPDATE pipeline SET outcome = ?3, counts = ?4, outputs = ?5
                     WHERE run = ?1 AND target = ?2 AND outcome IS NULL",
                )?
                .execute(params![
                    sequence,
                    target,
                    ending.outcome.word(),
                    counts_text(&ending.counts),
                    ending.outputs
                ])?;
            Ok(())
        })
        .await
    }
}

pub(super) fn insert(connection: &Connection, run: i64, targets: &[String]) -> Result<(), Failure> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO pipeline (run, target, position) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for (position, target) in targets.iter().enumerate() {
        statement.execute(params![
            run,
            target,
            i64::try_from(position).unwrap_or(i64::MAX)
        ])?;
    }
    Ok(())
}

const OUTCOMES: [Outcome; 8] = [
    Outcome::Ok,
    Outcome::Changed,
    Outcome::Failed,
    Outcome::Skipped,
    Outcome::Denied,
    Outcome::TimedOut,
    Outcome::Cancelled,
    Outcome::Unreachable,
];

/// The outcome of a column; none where there is none.
pub(super) fn outcome(word: Option<String>) -> Option<Outcome> {
    let word = word?;
    OUTCOMES.into_iter().find(|outcome| outcome.word() == word)
}

/// Counts as they are kept: eight numbers.
pub(super) fn counts_text(counts: &Counts) -> String {
    let Counts {
        ok,
        changed,
        failed,
        skipped,
        denied,
        timed_out,
        cancelled,
        unreachable,
    } = counts;
    format!("{ok} {changed} {failed} {skipped} {denied} {timed_out} {cancelled} {unreachable}")
}

/// The counts of a column. Where there are none yet, nothing has ended.
pub(super) fn counts(text: Option<String>) -> Counts {
    let text = text.unwrap_or_default();
    let mut numbers = text.split(' ').map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    Counts {
        ok: next(),
        changed: next(),
        failed: next(),
        skipped: next(),
        denied: next(),
        timed_out: next(),
        cancelled: next(),
        unreachable: next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_as_they_were_kept() {
        let mut some = Counts::default();
        for (times, outcome) in OUTCOMES.into_iter().enumerate() {
            for _ in 0..=times {
                some.add(outcome);
            }
            assert_eq!(
                super::outcome(Some(outcome.word().to_owned())),
                Some(outcome)
            );
        }
        assert_eq!(counts(Some(counts_text(&some))), some);
        assert_eq!(counts(None), Counts::default());
    }
}
