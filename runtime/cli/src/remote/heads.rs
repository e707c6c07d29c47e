//! Where a master was told that an agent's audit ended.

use anyhow::{Context, bail};
use sloth_fleet::pki::Credential;
use sloth_fleet::wire::audit;
use sloth_fleet::wire::client;
use sloth_fleet::wire::generated::GetAgentRequest;
use sloth_sandbox::ports::audit::Head;

use crate::command::Shared;
use crate::trust::CREDENTIAL;
use crate::{place, plan};

/// Asks the master, as the agent of this data folder itself where there is one.
pub(crate) fn heads(shared: &Shared, agent: Option<&str>) -> anyhow::Result<Vec<Head>> {
    let mut way = place::client(shared)?;
    let file = place::data_folder(shared)?.join(CREDENTIAL);
    let own = Credential::load(&file)?;
    let name = match (agent, &own) {
        (Some(name), _) => name.to_owned(),
        (None, Some(own)) => own.identity().subject.name.to_string(),
        (None, None) => bail!(
            "whose audit this is is not known: {} is not there; name the data folder of the agent with --data-dir, \
             or the agent with --agent",
            file.display()
        ),
    };
    if own.is_some() && way.places.named.is_none() && !way.insecure {
        way.places.named = Some(file);
    }
    let detail = plan::runtime()?.block_on(async {
        let mut fleet = client::connect(&way).await?;
        let asked = fleet.get_agent(GetAgentRequest { name: name.clone() });
        let answered = asked.await.map_err(client::problem);
        anyhow::Ok(answered?.into_inner())
    });
    let detail =
        detail.context("failed to ask the master where it knows the audit to have ended")?;
    let heads = detail.audit.iter().map(audit::read);
    heads
        .collect::<Result<_, _>>()
        .with_context(|| format!("what the master knows of {name} makes no sense"))
}
