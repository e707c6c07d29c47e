//! Agents as operators have them.

use sloth_workflow::Selector;
use tonic::Status;

use super::Core;
use super::doors::Caller;
use super::session::keeping;
use crate::store::master::{AgentRow, Greeting};
use crate::wire::generated::{AgentDetail, AgentInfo, AgentState, DrainAgentRequest, Hello};

impl Core {
    /// Keeps what an agent says of itself; gives up to where its deliveries are kept.
    pub(super) async fn greet(&self, line: &str, hello: &Hello) -> Result<u64, Status> {
        let greeting = Greeting {
            version: hello.version.clone(),
            labels: hello.labels.clone().into_iter().collect(),
            facts: hello.facts.clone(),
            policy: hello.policy.clone(),
            report_address: hello.report_address.clone(),
            journal: hello.journal.clone(),
            // An operator's own machine is no agent that is listed.
            listed: hello.run.is_none(),
        };
        self.store.greet(line, greeting).await.map_err(keeping)
    }

    /// The agents within the caller's scope that a selector matches.
    pub(super) async fn agents(
        &self,
        caller: &Caller,
        selector: &str,
    ) -> Result<Vec<AgentInfo>, Status> {
        let selector = (!selector.is_empty())
            .then(|| Selector::parse(selector))
            .transpose()
            .map_err(|error| Status::invalid_argument(format!("the selector: {error}")))?;
        let agents = self.store.agents().await.map_err(keeping)?;
        Ok(agents
            .into_iter()
            .filter(|agent| caller.scope.covers(agent))
            .filter(|agent| selector.as_ref().is_none_or(|s| agent.matches(s)))
            .map(|agent| self.info(agent))
            .collect())
    }

    /// Whether there is an agent of this name that the caller may reach.
    pub(super) async fn reaches(&self, caller: &Caller, name: &str) -> Result<bool, Status> {
        let agent = self.store.agent(name).await.map_err(keeping)?;
        Ok(agent.is_some_and(|agent| caller.scope.covers(&agent)))
    }

    async fn found(&self, caller: &Caller, name: &str) -> Result<AgentRow, Status> {
        let agent = self.store.agent(name).await.map_err(keeping)?;
        agent.filter(|agent| caller.scope.covers(agent)).ok_or_else(|| {
            Status::not_found(format!("there is no agent `{name}`; see sloth-runner agent list"))
        })
    }

    pub(super) async fn agent(&self, caller: &Caller, name: &str) -> Result<AgentDetail, Status> {
        let agent = self.found(caller, name).await?;
        Ok(AgentDetail {
            facts: agent.facts.clone(),
            policy: agent.policy.clone(),
            agent: Some(self.info(agent)),
        })
    }

    /// Gives an agent no more work, or work again.
    pub(super) async fn drain_agent(
        &self,
        caller: &Caller,
        wanted: DrainAgentRequest,
    ) -> Result<AgentInfo, Status> {
        self.found(caller, &wanted.name).await?;
        self.store
            .set_drained(&wanted.name, !wanted.undo)
            .await
            .map_err(keeping)?;
        self.registry.tell();
        Ok(self.info(self.found(caller, &wanted.name).await?))
    }

    /// Revokes an agent's certificates, ends its session and frees its name.
    pub(super) async fn remove_agent(&self, caller: &Caller, name: &str) -> Result<(), Status> {
        self.found(caller, name).await?;
        self.store.remove_agent(name).await.map_err(keeping)?;
        self.doors.revoke(name);
        self.registry.close(name);
        Ok(())
    }

    fn info(&self, agent: AgentRow) -> AgentInfo {
        let line = self.registry.line(&agent.name);
        let state = match &line {
            _ if agent.drained => AgentState::Drained,
            Some(_) => AgentState::Online,
            None => AgentState::Lost,
        };
        AgentInfo {
            state: state.into(),
            last_seen: Some(line.as_ref().map_or(agent.seen, |line| line.sign.seen()).into()),
            running: line.as_ref().map_or(0, |line| line.sign.running()),
            name: agent.name,
            version: agent.version,
            labels: agent.labels.into_iter().collect(),
            address: agent.report_address,
            reachable: agent.reachable,
        }
    }
}
