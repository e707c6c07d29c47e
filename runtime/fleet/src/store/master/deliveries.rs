//! Deliveries: what agents report, each exactly once and in their own order, however often it comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use super::calls::{self, CallEnd};
use super::error::{Error, Failure};
use super::events::{Fresh, Log};
use super::heads::{self, ToldHead};
use super::writer::Writing;
use super::{Store, runs};
use crate::store::file::count;

/// Whose deliveries they are: the numbers run within one journal of one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As its certificate proves.
    pub agent: String,
    pub journal: String,
}

/// One thing that happened at an agent.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// In the journal, from 1, without gaps.
    pub number: u64,
    pub run: String,
    pub happened: Happened,
    /// Where the agent's audit ended.
    pub audit: Option<ToldHead>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Happened {
    Event(Fresh),
    /// A call ended.
    End {
        call: u64,
        fence: u64,
        end: CallEnd,
    },
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Up to where the journal is kept now.
    pub kept: u64,
    /// The last event's number of each run that has new ones.
    pub grown: BTreeMap<String, u64>,
    /// Calls that this batch ended: run and number.
    pub ended: Vec<(String, u64)>,
    /// How many were dropped: of runs that have ended or are not kept any more, or in which the agent has no call, and
    /// ends that somebody else is to report.
    pub dropped: u64,
}

impl Store {
    /// Keeps a batch, all or nothing of it. What is kept already is skipped; where something is missing before what
    /// came, nothing is kept.
    pub async fn deliver(
        &self,
        source: &Source,
        batch: impl Into<Arc<[Delivery]>>,
    ) -> Result<Delivered, Error> {
        let (source, batch) = (source.clone(), batch.into());
        self.write("deliver", move |writing| {
            let kept = kept(writing.connection, &source)?;
            let mut delivered = Delivered {
                kept,
                ..Delivered::default()
            };
            let mut logs = BTreeMap::new();
            for delivery in &*batch {
                take(writing, &source, delivery, &mut delivered, &mut logs)?;
            }
            for (run, log) in logs {
                if let Some(log) = log {
                    let last = log.close(writing, &run)?;
                    delivered.grown.insert(run, last);
                }
            }
            if delivered.kept > kept {
                writing
                    .connection
                    .prepare_cached(
                        "INSERT INTO journal (agent, journal, kept, told) VALUES (?1, ?2, ?3, unixepoch() * 1000)
                         ON CONFLICT (agent, journal) DO UPDATE SET kept = excluded.kept, told = excluded.told",
                    )?
                    .execute(params![
                        source.agent,
                        source.journal,
                        i64::try_from(delivered.kept).unwrap_or(i64::MAX)
                    ])?;
            }
            Ok(delivered)
        })
        .await
    }

    /// Up to where an agent's journal is kept; 0 for one that nothing came of.
    pub async fn kept(&self, source: &Source) -> Result<u64, Error> {
        let source = source.clone();
        self.read("kept", move |connection| Ok(kept(connection, &source)?))
            .await
    }
}

/// The runs of a batch; none for those that the agent has no part in.
type Logs<'a> = BTreeMap<String, Option<Log<'a>>>;

fn take<'a>(
    writing: &Writing<'a>,
    source: &Source,
    delivery: &Delivery,
    delivered: &mut Delivered,
    logs: &mut Logs<'a>,
) -> Result<(), Failure> {
    if delivery.number <= delivered.kept {
        return Ok(());
    }
    if delivery.number > delivered.kept + 1 {
        return Err(Failure::Said(Error::Gap {
            kept: delivered.kept,
            came: delivery.number,
        }));
    }
    delivered.kept = delivery.number;
    let connection = writing.connection;
    if let Some(told) = &delivery.audit {
        heads::keep(connection, &source.agent, told)?;
    }
    if !logs.contains_key(&delivery.run) {
        let run = runs::find(connection, &delivery.run)?;
        let log = match run {
            Some(run)
                if calls::takes_part(connection, run, &source.agent)?
                    && !runs::has_ended(connection, run)? =>
            {
                Some(Log::of(connection, run)?)
            }
            _ => None,
        };
        logs.insert(delivery.run.clone(), log);
    }
    let Some(Some(log)) = logs.get_mut(&delivery.run) else {
        delivered.dropped += 1;
        return Ok(());
    };
    match &delivery.happened {
        Happened::Event(event) => log.append(event)?,
        Happened::End { call, fence, end } => {
            let ended =
                calls::end_reported(connection, log.run(), &source.agent, (*call, *fence), end)?;
            if ended {
                delivered.ended.push((delivery.run.clone(), *call));
            } else {
                delivered.dropped += 1;
            }
        }
    }
    Ok(())
}

fn kept(connection: &rusqlite::Connection, source: &Source) -> rusqlite::Result<u64> {
    let kept = connection
        .prepare_cached("SELECT kept FROM journal WHERE agent = ?1 AND journal = ?2")?
        .query_row([&source.agent, &source.journal], |row| count(row, 0))
        .optional()?;
    Ok(kept.unwrap_or(0))
}
