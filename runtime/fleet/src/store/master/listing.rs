//! Which runs are listed, the latest first.

use rusqlite::{Connection, named_params};

use super::Store;
use super::error::Error;
use super::runs::{COLUMNS, Run, RunState, from_row};

/// Which runs are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// At most 1000; 0 is 50.
    pub limit: usize,
    pub stack: Option<String>,
    pub state: Option<RunState>,
    /// One of its targets.
    pub target: Option<String>,
    /// Those alone that somebody with a scope sees.
    pub within: Option<Within>,
}

/// Which runs somebody with a scope sees: his own, and those that have all their steps on some agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    pub submitter: String,
    pub agents: Vec<String>,
}

impl Store {
    /// The runs that fit, the latest first.
    pub async fn runs(&self, filter: Filter) -> Result<Vec<Run>, Error> {
        self.read("runs", move |connection| Ok(list(connection, &filter)?))
            .await
    }
}

fn list(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Run>> {
    let limit = match filter.limit {
        0 => 50,
        limit => limit.min(1000),
    };
    // Whatever is asked for, an index gives the runs in order, and the limit ends the search.
    let mut sql = COLUMNS.to_owned();
    sql.push_str(match filter.target {
        Some(_) => {
            " FROM pipeline AS wanted CROSS JOIN run ON sequence = wanted.run WHERE wanted.target = :target"
        }
        None => " FROM run WHERE :target IS NULL",
    });
    if filter.stack.is_some() {
        sql.push_str(" AND stack = :stack");
    }
    if filter.state.is_some() {
        sql.push_str(" AND state = :state");
    }
    if filter.within.is_some() {
        sql.push_str(
            " AND (submitter = :submitter
                OR EXISTS (SELECT 1 FROM run_target AS own WHERE own.run = sequence)
                AND NOT EXISTS (SELECT 1 FROM run_target AS own WHERE own.run = sequence
                    AND own.target NOT IN (SELECT value FROM json_each(:agents))))",
        );
    }
    sql.push_str(match filter.target {
        Some(_) => " ORDER BY wanted.run DESC LIMIT :limit",
        None => " ORDER BY sequence DESC LIMIT :limit",
    });
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(1000);
    let within = filter.within.as_ref();
    let submitter = within.map(|within| &within.submitter);
    let agents = within.map(|within| serde_json::json!(within.agents).to_string());
    // A parameter that a query has no use for cannot be bound.
    let bind = |statement: &mut rusqlite::CachedStatement<'_>| -> rusqlite::Result<()> {
        for (name, value) in named_params! {
            ":target": filter.target, ":stack": filter.stack, ":state": filter.state, ":limit": limit,
            ":submitter": submitter, ":agents": agents
        } {
            if let Some(index) = statement.parameter_index(name)? {
                statement.raw_bind_parameter(index, value)?;
            }
        }
        Ok(())
    };
    bind(&mut statement)?;
    let mut rows = statement.raw_query();
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(from_row(row)?);
    }
    Ok(runs)
}
