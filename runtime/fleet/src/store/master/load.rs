//! How much there is to do, and for whom.

use super::Store;
use super::error::Error;
use crate::store::file::count;

/// Steps of runs that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// They wait to be given to their agent.
    pub waiting: u64,
    /// An agent has them.
    pub out: u64,
}

impl Store {
    /// How many steps wait, and how many are out.
    pub async fn load(&self) -> Result<Load, Error> {
        self.read("load", |connection| {
            // Few calls are open, whatever the number of those that were.
            let mut statement = connection.prepare_cached(
                "SELECT count(*) FILTER (WHERE call.fence = 0), count(*) FILTER (WHERE call.fence > 0)
                 FROM call JOIN run ON run.sequence = call.run
                 WHERE call.ended = 0 AND run.finished IS NULL",
            )?;
            let load = statement.query_row([], |row| {
                Ok(Load {
                    waiting: count(row, 0)?,
                    out: count(row, 1)?,
                })
            })?;
            Ok(load)
        })
        .await
    }

    /// Every agent's name, and whether it is given no more work.
    pub async fn agent_names(&self) -> Result<Vec<(String, bool)>, Error> {
        self.read("agent_names", |connection| {
            let mut statement = connection.prepare_cached("SELECT name, drained FROM agent")?;
            let names = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(names.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
