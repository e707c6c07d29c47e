//! `agent list`, `show`, `drain`, `remove` and `policy`: the agents of a master.

use anyhow::Context;
use serde_json::json;
use sloth_fleet::wire::client::{self, Fleet};
use sloth_fleet::wire::generated::{
    AgentInfo, AgentState, DrainAgentRequest, GetAgentRequest, ListAgentsRequest,
    RemoveAgentRequest,
};
use sloth_workflow::cbor::{self, Bounds};
use sloth_workflow::{Untrusted, event};

use crate::command::{AgentCommand, Output, Shared};
use crate::exit::Exit;
use crate::{place, plan, render};

pub(crate) fn agents(shared: &Shared, command: &AgentCommand) -> anyhow::Result<Exit> {
    plan::runtime()?.block_on(async {
        let mut fleet = client::connect(&place::client(shared)?).await?;
        match command {
            AgentCommand::List { selector } => list(shared, &mut fleet, selector.as_deref()).await,
            AgentCommand::Show { name } => show(shared, &mut fleet, name).await,
            AgentCommand::Policy { name } => policy(shared, &mut fleet, name).await,
            AgentCommand::Drain { name, undo } => {
                let request = DrainAgentRequest {
                    name: name.clone(),
                    undo: *undo,
                };
                let answer = fleet.drain_agent(request).await.map_err(client::problem)?;
                say(shared, &answer.into_inner(), if *undo { "takes work again" } else { "is given no more work" });
                Ok(Exit::Succeeded)
            }
            AgentCommand::Remove { name } => {
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
            let rows: Vec<[String; 5]> = agents.iter().map(row).collect();
            render::table(["NAME", "STATE", "SEEN", "VERSION", "LABELS"], &rows);
        }
    }
    Ok(Exit::Succeeded)
}

fn row(agent: &AgentInfo) -> [String; 5] {
    let mut labels: Vec<_> = agent
        .labels
        .iter()
        .map(|(key, value)| format!("{}={}", shown(key), shown(value)))
        .collect();
    labels.sort();
    let reachable = match agent.reachable {
        Some(false) => " (its port does not answer)",
        _ => "",
    };
    [
        shown(&agent.name),
        format!("{}{reachable}", word(agent.state())),
        agent
            .last_seen
            .and_then(|time| std::time::SystemTime::try_from(time).ok())
            .map_or_else(|| "never".to_owned(), render::ago),
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
            .and_then(|time| std::time::SystemTime::try_from(time).ok())
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

async fn show(shared: &Shared, fleet: &mut Fleet, name: &str) -> anyhow::Result<Exit> {
    let request = GetAgentRequest {
        name: name.to_owned(),
    };
    let detail = fleet.get_agent(request).await.map_err(client::problem)?.into_inner();
    let agent = detail.agent.context("the master's answer names no agent")?;
    let facts = cbor::decode(&detail.facts, Bounds::DATA).ok();
    match shared.output {
        Output::Json => {
            let mut shown = object(&agent);
            shown["facts"] = json!(facts);
            shown["policy"] = json!(detail.policy);
            render::line(&render::json_line(&shown));
        }
        Output::Text => {
            let [name, state, seen, version, labels] = row(&agent);
            let lines = [
                ("name", name),
                ("state", state),
                ("last seen", seen),
                ("version", version),
                ("labels", labels),
                ("address", shown(&agent.address)),
                ("running", agent.running.to_string()),
            ];
            for (key, value) in lines {
                render::line(format!("{key:<10} {value}").trim_end());
            }
            if let Some(facts) = facts {
                let facts = serde_json::to_string_pretty(&facts).unwrap_or_default();
                render::line(&format!("facts\n{}", Untrusted::new(facts).escaped_lines()));
            }
            render::note(&format!("what it grants: sloth-runner agent policy {}", shown(&agent.name)));
        }
    }
    Ok(Exit::Succeeded)
}

async fn policy(shared: &Shared, fleet: &mut Fleet, name: &str) -> anyhow::Result<Exit> {
    let request = GetAgentRequest {
        name: name.to_owned(),
    };
    let detail = fleet.get_agent(request).await.map_err(client::problem)?.into_inner();
    match shared.output {
        Output::Json => render::line(&render::json_line(&json!({ "policy": detail.policy }))),
        Output::Text => render::line(Untrusted::new(detail.policy).escaped_lines().trim_end()),
    }
    Ok(Exit::Succeeded)
}

fn shown(text: &str) -> String {
    Untrusted::new(text).escaped()
}
