//! `agent list`, `show`, `drain`, `remove` and `policy`: the agents of a master.

use std::time::SystemTime;

use anyhow::Context;
use serde_json::json;
use sloth_fleet::wire::client::{self, Fleet};
use sloth_fleet::wire::generated::{
    AgentInfo, AgentState, AuditHead, DrainAgentRequest, GetAgentRequest, ListAgentsRequest, Probe,
    RemoveAgentRequest,
};
use sloth_workflow::cbor::{self, Bounds};
use sloth_workflow::value::base16;
use sloth_workflow::{Untrusted, event};

use crate::agent::FleetCommand;
use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::{place, plan, render};

pub(crate) fn agents(shared: &Shared, command: &FleetCommand) -> anyhow::Result<Exit> {
    plan::runtime()?.block_on(async {
        let mut fleet = client::connect(&place::client(shared)?).await?;
        match command {
            FleetCommand::List { selector } => list(shared, &mut fleet, selector.as_deref()).await,
            FleetCommand::Show { name } => show(shared, &mut fleet, name).await,
            FleetCommand::Policy { name } => policy(shared, &mut fleet, name).await,
            FleetCommand::Drain { name, undo } => {
                let request = DrainAgentRequest {
                    name: name.clone(),
                    undo: *undo,
                };
                let answer = fleet.drain_agent(request).await.map_err(client::problem)?;
                say(
                    shared,
                    &answer.into_inner(),
                    if *undo {
                        "takes work again"
                    } else {
                        "is given no more work"
                    },
                );
                Ok(Exit::Succeeded)
            }
            // Told apart before, since its exit code is a program's.
            FleetCommand::Exec(_) => Ok(Exit::Usage),
            FleetCommand::Remove { name } => {
                let request = RemoveAgentRequest { name: name.clone() };
                fleet.remove_agent(request).await.map_err(client::problem)?;
                match shared.output {
                    Output::Json => render::line(&render::json_line(&json!({ "removed": name }))),
                    Output::Text => render::note(&format!("{} is removed", shown(name))),
                }
                Ok(Exit::Succeeded)
            }
        }
    })
}

fn say(shared: &Shared, agent: &AgentInfo, what: &str) {
    match shared.output {
        Output::Json => render::line(&render::json_line(&object(agent))),
        Output::Text => render::note(&format!("{} {what}", shown(&agent.name))),
    }
}

async fn list(shared: &Shared, fleet: &mut Fleet, selector: Option<&str>) -> anyhow::Result<Exit> {
    let request = ListAgentsRequest {
        selector: selector.unwrap_or_default().to_owned(),
    };
    let agents = fleet
        .list_agents(request)
        .await
        .map_err(client::problem)
        .context("failed to list the agents")?
        .into_inner()
        .agents;
    match shared.output {
        Output::Json => {
            let agents: Vec<_> = agents.iter().map(object).collect();
            render::line(&render::json_line(&json!({ "agents": agents })));
        }
        Output::Text if agents.is_empty() => render::note(
            "there is no agent; make a token with sloth-runner token create --role agent, and start one with it",
        ),
        Output::Text => {
            let rows: Vec<[String; 6]> = agents.iter().map(row).collect();
            let head = ["NAME", "STATE", "SEEN", "REACHABLE", "VERSION", "LABELS"];
            table(head, &rows);
        }
    }
    Ok(Exit::Succeeded)
}

fn row(agent: &AgentInfo) -> [String; 6] {
    let mut labels: Vec<_> = agent
        .labels
        .iter()
        .map(|(key, value)| format!("{}={}", shown(key), shown(value)))
        .collect();
    labels.sort();
    [
        shown(&agent.name),
        word(agent.state()).to_owned(),
        agent
            .last_seen
            .and_then(|time| SystemTime::try_from(time).ok())
            .map_or_else(|| "never".to_owned(), ago),
        reachable(agent.reachable).to_owned(),
        shown(&agent.version),
        labels.join(","),
    ]
}

fn object(agent: &AgentInfo) -> serde_json::Value {
    let labels: std::collections::BTreeMap<_, _> = agent.labels.iter().collect();
    json!({
        "name": agent.name,
        "state": word(agent.state()),
        "version": agent.version,
        "last-seen": agent
            .last_seen
            .and_then(|time| SystemTime::try_from(time).ok())
            .map(event::timestamp),
        "labels": labels,
        "address": Some(&agent.address).filter(|address| !address.is_empty()),
        "reachable": agent.reachable,
        "running": agent.running,
    })
}

fn word(state: AgentState) -> &'static str {
    match state {
        AgentState::Online => "online",
        AgentState::Lost => "lost",
        AgentState::Drained => "drained",
        AgentState::Unspecified => "unknown",
    }
}

/// Whether its own port answered.
fn reachable(answered: Option<bool>) -> &'static str {
    match answered {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}

/// What came of asking it the last time, beside yes and no.
fn last(probe: &Probe) -> String {
    let time = probe.time.and_then(|time| SystemTime::try_from(time).ok());
    let when = time.map_or_else(String::new, |time| format!(" ({})", ago(time)));
    if probe.problem.is_empty() {
        return when;
    }
    format!("{when}: {}", shown(&probe.problem))
}

async fn show(shared: &Shared, fleet: &mut Fleet, name: &str) -> anyhow::Result<Exit> {
    let request = GetAgentRequest {
        name: name.to_owned(),
    };
    let detail = fleet
        .get_agent(request)
        .await
        .map_err(client::problem)?
        .into_inner();
    let agent = detail.agent.context("the master's answer names no agent")?;
    let facts = cbor::decode(&detail.facts, Bounds::DATA).ok();
    match shared.output {
        Output::Json => {
            let mut shown = object(&agent);
            shown["facts"] = json!(facts);
            shown["policy"] = json!(detail.policy);
            shown["probe"] = json!(detail.probe.map(|probe| {
                let time = probe.time.and_then(|time| SystemTime::try_from(time).ok());
                json!({
                    "time": time.map(event::timestamp),
                    "problem": Some(probe.problem).filter(|problem| !problem.is_empty()),
                })
            }));
            shown["audit"] = detail.audit.iter().map(told).collect();
            render::line(&render::json_line(&shown));
        }
        Output::Text => {
            let [name, state, seen, reachable, version, labels] = row(&agent);
            let probe = detail.probe.as_ref().map(last).unwrap_or_default();
            let lines = [
                ("name", name),
                ("state", state),
                ("last seen", seen),
                ("version", version),
                ("labels", labels),
                ("address", shown(&agent.address)),
                ("reachable", format!("{reachable}{probe}")),
                ("running", agent.running.to_string()),
            ];
            for (key, value) in lines {
                render::line(format!("{key:<10} {value}").trim_end());
            }
            if let Some(facts) = facts {
                let facts = serde_json::to_string_pretty(&facts).unwrap_or_default();
                render::line(&format!("facts\n{}", Untrusted::new(facts).escaped_lines()));
            }
            render::note(&format!(
                "what it grants: sloth-runner agent policy {}",
                shown(&agent.name)
            ));
        }
    }
    Ok(Exit::Succeeded)
}

/// Where its audit ended, and when it said so.
fn told(head: &AuditHead) -> serde_json::Value {
    let time = head.told.and_then(|time| SystemTime::try_from(time).ok());
    json!({
        "number": head.number,
        "hash": base16(&head.hash),
        "told": time.map(event::timestamp),
    })
}

async fn policy(shared: &Shared, fleet: &mut Fleet, name: &str) -> anyhow::Result<Exit> {
    let request = GetAgentRequest {
        name: name.to_owned(),
    };
    let detail = fleet
        .get_agent(request)
        .await
        .map_err(client::problem)?
        .into_inner();
    match shared.output {
        Output::Json => render::line(&render::json_line(&json!({ "policy": detail.policy }))),
        Output::Text => render::line(Untrusted::new(detail.policy).escaped_lines().trim_end()),
    }
    Ok(Exit::Succeeded)
}

fn shown(text: &str) -> String {
    Untrusted::new(text).escaped()
}

/// How long ago a moment is, in as many words as one reads.
fn ago(moment: SystemTime) -> String {
    let seconds = moment.elapsed().unwrap_or_default().as_secs();
    match seconds {
        0..=4 => "now".to_owned(),
        5..=119 => format!("{seconds} s ago"),
        120..=7199 => format!("{} min ago", seconds / 60),
        7200..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Columns as wide as what is in them; the last has what is left of eighty.
fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    });
    let line = |cells: [&str; N]| {
        let line: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let line: String = line.join("  ").chars().take(80).collect();
        render::line(line.trim_end());
    };
    line(head);
    for row in rows {
        line(std::array::from_fn(|column| row[column].as_str()));
    }
}
