//! Agents as operators have them.

use std::collections::BTreeSet;
use std::time::SystemTime;

use sloth_policy::Policy;
use sloth_workflow::{Selector, Value, cbor, placement};
use tonic::Status;

use super::session::keeping;
use crate::master::Core;
use crate::master::access::admin::{ADMIN, FILE};
use crate::master::access::caller::{Caller, Proof};
use crate::master::access::known;
use crate::master::probing::Probed;
use crate::master::scheduling::dispatch::frame;
use crate::master::scheduling::registry::About;
use crate::pki::Role;
use crate::store::master::{Agent, Error, Greeting, Source};
use crate::wire::audit;
use crate::wire::generated::downward::Kind;
use crate::wire::generated::{
    AgentDetail, AgentInfo, AgentState, CancelCall, Downward, Drain, DrainAgentRequest, ForgetRun,
    Hello, Probe,
};

fn parsed(selector: &str) -> Result<Option<Selector>, Status> {
    let selector = Some(selector).filter(|text| !text.is_empty());
    let parsed = selector.map(Selector::parse).transpose();
    parsed.map_err(|error| Status::invalid_argument(format!("the selector: {error}")))
}

/// The agents that a caller may reach; all where there is none. One of an earlier version that asks for facts, which
/// nothing is proven by, lets through nobody rather than everybody.
fn scope(caller: &Caller) -> Result<Option<Selector>, Status> {
    let scope = parsed(&caller.scope)?;
    if scope.as_ref().is_some_and(Selector::asks_for_facts) {
        return Err(Status::permission_denied(format!(
            "the scope of {} asks for facts, by which no agent is proven any more: ask for another credential",
            caller.name
        )));
    }
    Ok(scope)
}

/// An agent as scopes see it, which hold whatever an agent says of itself: by its name and the labels of its token.
fn proven(agent: &Agent) -> placement::Agent {
    placement::Agent {
        name: agent.greeting.name.clone(),
        labels: agent.given.clone(),
        facts: Value::empty(),
    }
}

/// An agent as selectors see it. Facts that cannot be read are none.
fn seen(agent: &Agent) -> placement::Agent {
    placement::Agent {
        name: agent.greeting.name.clone(),
        labels: agent.greeting.labels.clone(),
        facts: cbor::decode(&agent.greeting.facts, cbor::Bounds::DATA)
            .unwrap_or_else(|_| Value::empty()),
    }
}

/// Refuses what is more than an agent has to say of itself: it is kept, and shown to whoever asks.
fn bounded(hello: &Hello) -> Result<(), Status> {
    let labels = hello
        .labels
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    let bounds = [
        ("labels", labels, 16 << 10),
        ("facts", hello.facts.len(), 1 << 20),
        ("policy", hello.policy.len(), 1 << 20),
        ("address", hello.report_address.len(), 300),
        ("version", hello.version.len(), 100),
        ("journal's name", hello.journal.len(), 100),
        ("process's name", hello.instance.len(), 100),
        ("open calls", hello.open.len(), 100_000),
        ("runs", hello.runs.len(), 10_000),
    ];
    for (what, size, most) in bounds {
        if size > most {
            return Err(Status::invalid_argument(format!(
                "the session cannot begin: of its {what} the agent tells {size}, and {most} is the most"
            )));
        }
    }
    Ok(())
}

impl Core {
    /// Keeps what an agent says of itself; gives up to where its deliveries are kept, and what decides which secrets
    /// it is given.
    pub(crate) async fn greet(
        &self,
        line: &str,
        hello: &Hello,
    ) -> Result<(u64, Option<About>), Status> {
        bounded(hello)?;
        let source = Source {
            agent: line.to_owned(),
            journal: hello.journal.clone(),
        };
        let mut about = None;
        // An operator's own machine is no agent that is listed.
        if hello.run.is_none() {
            let greeting = Greeting {
                name: line.to_owned(),
                version: hello.version.clone(),
                labels: hello.labels.clone().into_iter().collect(),
                facts: hello.facts.clone(),
                policy: hello.policy.clone(),
                address: hello.report_address.clone(),
            };
            let kept = self.store.greet(greeting, SystemTime::now()).await;
            let agent = kept.map_err(keeping)?;
            let policy = hello.policy.clone();
            let read = tokio::task::spawn_blocking(move || Policy::parse(&policy, "the agent"));
            about = Some(About {
                agent: placement::Agent {
                    name: agent.greeting.name,
                    labels: agent.given,
                    facts: Value::empty(),
                },
                policy: read.await.ok().and_then(Result::ok).unwrap_or_default(),
            });
        }
        let kept = self.store.kept(&source).await.map_err(keeping)?;
        Ok((kept, about))
    }

    /// What an agent has to be told that was away. Nobody waits for a call any more that was given up meanwhile, or
    /// whose run is over.
    pub(crate) async fn outdated(
        &self,
        line: &str,
        hello: &Hello,
    ) -> Result<Vec<Downward>, Status> {
        let held = hello
            .runs
            .iter()
            .chain(hello.open.iter().map(|call| &call.run));
        let held: BTreeSet<String> = held.cloned().collect();
        let going_on = self.store.going_on(held.iter().cloned().collect()).await;
        let going_on = going_on.map_err(keeping)?;
        let open = hello
            .open
            .iter()
            .filter(|call| going_on.contains(&call.run));
        let open = open.map(|call| (call.run.clone(), call.call)).collect();
        let settled = self
            .store
            .settled_calls(line, open)
            .await
            .map_err(keeping)?;
        let over = held.into_iter().filter(|run| !going_on.contains(run));
        let over = over.map(|run| frame(Kind::ForgetRun(ForgetRun { run })));
        let calls = hello
            .open
            .iter()
            .filter(|call| settled.contains(&(call.run.clone(), call.call)));
        let calls = calls.map(|call| {
            frame(Kind::Cancel(CancelCall {
                call: Some(call.clone()),
            }))
        });
        let drained = self.registry.is_drained(line);
        let drain = drained.then(|| frame(Kind::Drain(Drain {})));
        Ok(over.chain(calls).chain(drain).collect())
    }

    /// The agents that a caller may reach, and that a selector means if there is one.
    pub(crate) async fn agents(
        &self,
        caller: &Caller,
        selector: &str,
    ) -> Result<Vec<AgentInfo>, Status> {
        let wanted = parsed(selector)?;
        let scope = scope(caller)?;
        let agents = self.store.agents().await.map_err(keeping)?;
        let meant = agents.into_iter().filter(|agent| {
            scope
                .as_ref()
                .is_none_or(|scope| proven(agent).matches(scope))
                && wanted
                    .as_ref()
                    .is_none_or(|wanted| seen(agent).matches(wanted))
        });
        Ok(meant.map(|agent| self.info(agent)).collect())
    }

    /// The agents that a caller may reach, as selectors see them.
    pub(crate) async fn reachable(&self, caller: &Caller) -> Result<Vec<placement::Agent>, Status> {
        let scope = scope(caller)?;
        let agents = self.store.agents().await.map_err(keeping)?;
        Ok(agents
            .iter()
            .filter(|agent| {
                scope
                    .as_ref()
                    .is_none_or(|scope| proven(agent).matches(scope))
            })
            .map(seen)
            .collect())
    }

    pub(crate) async fn agent(&self, caller: &Caller, name: &str) -> Result<AgentDetail, Status> {
        if caller.role == Role::Agent && caller.name != name {
            return Err(Status::permission_denied(format!(
                "the agent {} may ask for itself only",
                caller.name
            )));
        }
        let agent = self.store.agent(name).await.map_err(keeping)?;
        // One that he may not reach is not there for him.
        if scope(caller)?.is_some_and(|scope| !proven(&agent).matches(&scope)) {
            return Err(keeping(Error::NoAgent(name.into())));
        }
        let probed = self.probed(&agent);
        let heads = self.store.audit_heads(name).await.map_err(keeping)?;
        let heads = heads.into_iter();
        Ok(AgentDetail {
            probe: probed.map(|probed| Probe {
                time: Some(probed.time.into()),
                problem: probed.problem.unwrap_or_default(),
            }),
            facts: agent.greeting.facts.clone(),
            policy: agent.greeting.policy.clone(),
            audit: heads
                .map(|told| audit::sent(told.head, Some(told.told)))
                .collect(),
            agent: Some(self.info(agent)),
        })
    }

    /// Gives an agent no more work, or work again.
    pub(crate) async fn drain(&self, wanted: DrainAgentRequest) -> Result<AgentInfo, Status> {
        let drained = self.store.drain(&wanted.name, !wanted.undo).await;
        let info = self.info(drained.map_err(keeping)?);
        self.registry.drain(&wanted.name, !wanted.undo);
        // Of the other it hears with its next work.
        if !wanted.undo
            && let Some(line) = self.registry.line(&wanted.name)
        {
            line.send(frame(Kind::Drain(Drain {})));
        }
        Ok(info)
    }

    /// Revokes an agent's certificates, ends its session and frees its name.
    pub(crate) async fn remove_agent(&self, name: &str) -> Result<(), Status> {
        if name == ADMIN {
            return Err(Status::invalid_argument(format!(
                "`{ADMIN}` is the master's own; it makes itself another certificate when its file {FILE} is removed"
            )));
        }
        let removed = self.store.remove_agent(name, SystemTime::now()).await;
        // Kept first: no call of it comes in between.
        let serials = removed.map_err(keeping)?;
        let serials = serials.iter().filter_map(|serial| known::read(serial).ok());
        self.revocations.revoke(serials.map(Proof::Certificate));
        self.registry.close(name);
        // Whoever has the name next begins anew.
        self.registry.drain(name, false);
        Ok(())
    }

    /// What came of asking an agent on its own port, if it is there.
    fn probed(&self, agent: &Agent) -> Option<Probed> {
        let Greeting { name, address, .. } = &agent.greeting;
        self.registry.line(name)?;
        self.probes.of(name, address)
    }

    fn info(&self, agent: Agent) -> AgentInfo {
        let probed = self.probed(&agent);
        let said = agent.greeting;
        let line = self.registry.line(&said.name);
        let state = match &line {
            _ if agent.drained => AgentState::Drained,
            Some(_) => AgentState::Online,
            None => AgentState::Lost,
        };
        let seen = line.as_ref().map_or(agent.seen, |line| line.sign.seen());
        AgentInfo {
            state: state.into(),
            last_seen: Some(seen.into()),
            running: line.as_ref().map_or(0, |line| line.sign.running()),
            name: said.name,
            version: said.version,
            labels: said.labels.into_iter().collect(),
            address: said.address,
            reachable: probed.map(|probed| probed.problem.is_none()),
        }
    }
}
