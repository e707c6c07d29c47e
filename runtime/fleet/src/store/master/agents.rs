//! Agents: what each said of itself, and when it was last heard of.

use std::collections::BTreeMap;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::{Error, Failure};
use super::{Store, certificates};
use crate::store::file::{milliseconds, moment};

/// What an agent says of itself when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// As its certificate proves.
    pub name: String,
    pub version: String,
    pub labels: BTreeMap<String, String>,
    /// CBOR of a map.
    pub facts: Vec<u8>,
    /// What it grants, as TOML, for people to read.
    pub policy: String,
    /// Where its own port can be reached; empty if it tells nobody.
    pub address: String,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Labels of the token that it joined with are among its own, and win over them.
    pub greeting: Greeting,
    /// Those labels alone: they do not rest on the agent's word.
    pub given: BTreeMap<String, String>,
    /// The last sign of life that was written down.
    pub seen: SystemTime,
    /// Gets no more work.
    pub drained: bool,
}

impl Store {
    /// An agent has come. Whether it was drained stays as it was.
    pub async fn greet(&self, greeting: Greeting, now: SystemTime) -> Result<Agent, Error> {
        self.write("greet", move |writing| {
            let labels = labels_text(&greeting.labels);
            writing
                .connection
                .prepare_cached(
                    "INSERT INTO agent (name, version, labels, facts, policy, address, seen)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (name) DO UPDATE
                     SET version = excluded.version, labels = excluded.labels, facts = excluded.facts,
                         policy = excluded.policy, address = excluded.address, seen = excluded.seen",
                )?
                .execute(params![
                    greeting.name,
                    greeting.version,
                    labels,
                    greeting.facts,
                    greeting.policy,
                    greeting.address,
                    milliseconds(now)
                ])?;
            one(writing.connection, &greeting.name)
        })
        .await
    }

    /// Signs of life, of many agents at once. Those of agents that are not kept are nothing.
    pub async fn seen(&self, signs: Vec<(String, SystemTime)>) -> Result<(), Error> {
        self.write("seen", move |writing| {
            let mut statement = writing
                .connection
                .prepare_cached("UPDATE agent SET seen = max(seen, ?2) WHERE name = ?1")?;
            for (name, time) in &signs {
                statement.execute(params![name, milliseconds(*time)])?;
            }
            Ok(())
        })
        .await
    }

    /// Every agent, by name.
    pub async fn agents(&self) -> Result<Vec<Agent>, Error> {
        self.read("agents", |connection| {
            let mut statement = connection.prepare_cached(&format!("{COLUMNS} ORDER BY name"))?;
            let agents = statement.query_map([], from_row)?;
            Ok(agents.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub async fn agent(&self, name: &str) -> Result<Agent, Error> {
        let name = name.to_owned();
        self.read("agent", move |connection| one(connection, &name))
            .await
    }

    /// Gives an agent no more work, or work again.
    pub async fn drain(&self, name: &str, drained: bool) -> Result<Agent, Error> {
        let name = name.to_owned();
        self.write("drain", move |writing| {
            writing
                .connection
                .prepare_cached("UPDATE agent SET drained = ?2 WHERE name = ?1")?
                .execute(params![name, drained])?;
            one(writing.connection, &name)
        })
        .await
    }

    /// Forgets an agent, revokes its certificates and frees its name. Gives the serial numbers that were revoked.
    pub async fn remove_agent(&self, name: &str, now: SystemTime) -> Result<Vec<String>, Error> {
        let name = name.to_owned();
        self.write("remove_agent", move |writing| {
            let connection = writing.connection;
            let revoked = certificates::revoke(connection, &name, now)?;
            let removed = connection
                .prepare_cached("DELETE FROM agent WHERE name = ?1")?
                .execute([&name])?;
            // One that enrolled and never came has a certificate and nothing else.
            if removed == 0 && revoked.is_empty() {
                return Err(Failure::Said(Error::NoAgent(name.into())));
            }
            for table in ["journal", "given_label"] {
                connection
                    .prepare_cached(&format!("DELETE FROM {table} WHERE agent = ?1"))?
                    .execute([&name])?;
            }
            Ok(revoked)
        })
        .await
    }
}

const COLUMNS: &str =
    "SELECT name, version, agent.labels, facts, policy, address, seen, drained, given_label.labels
    FROM agent LEFT JOIN given_label ON given_label.agent = agent.name";

fn one(connection: &Connection, name: &str) -> Result<Agent, Failure> {
    let agent = connection
        .prepare_cached(&format!("{COLUMNS} WHERE name = ?1"))?
        .query_row([name], from_row)
        .optional()?;
    agent.ok_or_else(|| Failure::Said(Error::NoAgent(name.into())))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Agent> {
    let given = row.get::<_, Option<String>>(8)?;
    let given = given.map(|given| labels(&given)).unwrap_or_default();
    let mut own = labels(&row.get::<_, String>(2)?);
    own.extend(given.clone());
    Ok(Agent {
        greeting: Greeting {
            name: row.get(0)?,
            version: row.get(1)?,
            labels: own,
            facts: row.get(3)?,
            policy: row.get(4)?,
            address: row.get(5)?,
        },
        given,
        seen: moment(row.get(6)?),
        drained: row.get(7)?,
    })
}

/// Notes the labels that an agent has by its token, in the place of earlier ones.
pub(super) fn give_labels(
    connection: &Connection,
    agent: &str,
    labels: &BTreeMap<String, String>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO given_label (agent, labels) VALUES (?1, ?2)
             ON CONFLICT (agent) DO UPDATE SET labels = excluded.labels",
        )?
        .execute(params![agent, labels_text(labels)])?;
    Ok(())
}

/// Labels as they are kept.
pub(super) fn labels_text(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_string(labels).expect("a map of texts is JSON")
}

pub(super) fn labels(text: &str) -> BTreeMap<String, String> {
    serde_json::from_str(text).unwrap_or_default()
}
