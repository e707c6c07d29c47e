//! `secret --fleet`: what the master hands to agents.

use std::time::SystemTime;

use anyhow::{Context, bail};
use sloth_fleet::store::node::secrets::Listed;
use sloth_fleet::wire::client::{self, problem};
use sloth_fleet::wire::generated::{ListSecretsRequest, RemoveSecretRequest, SetSecretRequest};

use crate::command::{SecretCommand, Shared};
use crate::exit::Exit;
use crate::{place, plan, secret};

pub(crate) fn secrets(shared: &Shared, command: &SecretCommand) -> anyhow::Result<Exit> {
    let settings = place::client(shared)?;
    // Asked for before anything is connected, and left to no timeout.
    let value = match command {
        SecretCommand::Set { name, agents } => {
            let agents = agents.clone().context(
                "say which agents the secret is handed to, for example --agents name=db-01",
            )?;
            Some((secret::value(name)?, agents))
        }
        _ => None,
    };
    plan::runtime()?.block_on(async {
        let mut fleet = client::connect(&settings).await?;
        let (told, json) = match (command, value) {
            (SecretCommand::Set { name, .. }, Some((value, agents))) => {
                let request = SetSecretRequest {
                    name: name.clone(),
                    value: value.as_bytes().to_vec(),
                    agents,
                };
                let answer = fleet.set_secret(request).await.map_err(problem)?;
                secret::set(name, answer.into_inner().replaced)
            }
            (SecretCommand::List, _) => {
                let answer = fleet.list_secrets(ListSecretsRequest {}).await;
                let secrets = answer.map_err(problem)?.into_inner().secrets.into_iter();
                let listed: Vec<_> = secrets
                    .map(|secret| Listed {
                        name: secret.name,
                        set: secret
                            .set
                            .and_then(|set| SystemTime::try_from(set).ok())
                            .unwrap_or(SystemTime::UNIX_EPOCH),
                        agents: Some(secret.agents),
                    })
                    .collect();
                secret::list(&listed)
            }
            (SecretCommand::Remove { name }, _) => {
                let request = RemoveSecretRequest { name: name.clone() };
                let answer = fleet.remove_secret(request).await.map_err(problem)?;
                secret::removed(name, answer.into_inner().removed)?
            }
            (SecretCommand::RotateKey { .. } | SecretCommand::Set { .. }, _) => bail!(
                "the key is the master's own: on its machine, sloth-runner secret rotate-key --data-dir FOLDER/fleet \
                 seals them anew, FOLDER being the master's"
            ),
        };
        Ok(secret::tell(shared, &told, &json))
    })
}
