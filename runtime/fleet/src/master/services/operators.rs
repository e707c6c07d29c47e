//! What operators ask of the master, and the answers.

use std::sync::Arc;

use sloth_workflow::Selector;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use zeroize::Zeroizing;

use super::session::{Answers, keeping};
use super::unbroken::unbroken;
use crate::master::Core;
use crate::master::Tokens;
use crate::master::access::caller::Caller;
use crate::wire::generated::fleet_server::Fleet;
use crate::wire::generated::{
    AgentDetail, AgentInfo, CancelRequest, CreateTokenRequest, CreateTokenResponse,
    DrainAgentRequest, GetAgentRequest, GetRunRequest, ListAgentsRequest, ListAgentsResponse,
    ListRunsRequest, ListRunsResponse, ListSecretsRequest, ListSecretsResponse, ListTokensRequest,
    ListTokensResponse, Piece, Record, RemoveAgentRequest, RemoveAgentResponse,
    RemoveSecretRequest, RemoveSecretResponse, ResumeRequest, RevokeTokenRequest,
    RevokeTokenResponse, RunDetail, RunInfo, SecretInfo, SetSecretRequest, SetSecretResponse,
    SubmitRequest, SubmitResponse, UploadResponse, WatchRequest,
};
use crate::wire::{run, value};

/// The service that operators call.
pub(crate) struct Operators {
    pub(crate) core: Arc<Core>,
    /// None without TLS.
    pub(crate) tokens: Option<Tokens>,
}

#[tonic::async_trait]
impl Fleet for Operators {
    type WatchStream = Answers<Record>;

    async fn upload(
        &self,
        request: Request<Streaming<Piece>>,
    ) -> Result<Response<UploadResponse>, Status> {
        let caller = Caller::of(&request)?;
        let pieces = request.into_inner();
        let digits = self.core.keep_bundle(&caller, pieces).await?;
        Ok(Response::new(UploadResponse {
            digest: value::named(&digits),
        }))
    }

    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let caller = Caller::of(&request)?;
        let answer = self.core.submit(&caller, request.into_inner()).await?;
        note(&caller, "a run was submitted", run_of(&answer));
        Ok(Response::new(answer))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = Caller::of(&request)?;
        let wanted = request.into_inner();
        self.core.sees(&caller, &wanted.run).await?;
        let (sender, answers) = mpsc::channel(64);
        let core = Arc::clone(&self.core);
        tokio::spawn(async move {
            if let Err(status) = core.watch(wanted, &sender).await {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Result<Response<RunInfo>, Status> {
        let caller = Caller::of(&request)?;
        let run = request.into_inner().run;
        self.core.sees(&caller, &run).await?;
        let core = Arc::clone(&self.core);
        unbroken(async move {
            // Kept first: a master that ends here goes on with the cancel.
            let found = core.store.cancel(&run).await.map_err(keeping)?;
            core.courses.cancel(&run);
            note(&caller, "a run was cancelled", &run);
            Ok(Response::new(run::sent(found)))
        })
        .await
    }

    async fn resume(
        &self,
        request: Request<ResumeRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let caller = Caller::of(&request)?;
        let answer = self.core.resume(&caller, request.into_inner()).await?;
        note(&caller, "a run was taken up again", run_of(&answer));
        Ok(Response::new(answer))
    }

    async fn get_run(
        &self,
        request: Request<GetRunRequest>,
    ) -> Result<Response<RunDetail>, Status> {
        let caller = Caller::of(&request)?;
        let run = request.into_inner().run;
        self.core.sees(&caller, &run).await?;
        let detail = self.core.store.detail(&run).await.map_err(keeping)?;
        let steps = self.core.store.steps(&run).await.map_err(keeping)?;
        Ok(Response::new(RunDetail {
            outputs: detail.outputs.unwrap_or_default(),
            steps: run::steps_sent(steps),
            run: Some(run::sent(detail.run)),
        }))
    }

    async fn list_runs(
        &self,
        request: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let runs = self.core.runs(&caller, request.into_inner()).await?;
        Ok(Response::new(ListRunsResponse { runs }))
    }

    async fn list_agents(
        &self,
        request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let selector = request.into_inner().selector;
        let agents = self.core.agents(&caller, &selector).await?;
        Ok(Response::new(ListAgentsResponse { agents }))
    }

    async fn get_agent(
        &self,
        request: Request<GetAgentRequest>,
    ) -> Result<Response<AgentDetail>, Status> {
        let caller = Caller::of(&request)?;
        let detail = self.core.agent(&caller, &request.into_inner().name).await?;
        Ok(Response::new(detail))
    }

    async fn drain_agent(
        &self,
        request: Request<DrainAgentRequest>,
    ) -> Result<Response<AgentInfo>, Status> {
        let caller = Caller::of(&request)?;
        let wanted = request.into_inner();
        let (name, undo) = (wanted.name.clone(), wanted.undo);
        let core = Arc::clone(&self.core);
        unbroken(async move {
            let info = core.drain(wanted).await?;
            let what = if undo {
                "an agent is given work again"
            } else {
                "an agent was drained"
            };
            note(&caller, what, &name);
            Ok(Response::new(info))
        })
        .await
    }

    async fn remove_agent(
        &self,
        request: Request<RemoveAgentRequest>,
    ) -> Result<Response<RemoveAgentResponse>, Status> {
        let caller = Caller::of(&request)?;
        let name = request.into_inner().name;
        let core = Arc::clone(&self.core);
        unbroken(async move {
            core.remove_agent(&name).await?;
            note(&caller, "an agent, or a person, was removed", &name);
            Ok(Response::new(RemoveAgentResponse {}))
        })
        .await
    }

    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let caller = Caller::of(&request)?;
        let tokens = self.tokens()?.clone();
        let made = async move { tokens.create(&caller, request.into_inner()).await };
        Ok(Response::new(unbroken(made).await?))
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        Caller::of(&request)?;
        Ok(Response::new(self.tokens()?.list().await?))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let caller = Caller::of(&request)?;
        let tokens = self.tokens()?.clone();
        let revoked = async move { tokens.revoke(&caller, request.into_inner()).await };
        Ok(Response::new(unbroken(revoked).await?))
    }

    async fn set_secret(
        &self,
        request: Request<SetSecretRequest>,
    ) -> Result<Response<SetSecretResponse>, Status> {
        let caller = Caller::of(&request)?;
        let SetSecretRequest {
            name,
            value,
            agents,
        } = request.into_inner();
        let value = String::from_utf8(value).map(Zeroizing::new);
        let value = value.map_err(|_| Status::invalid_argument("the value is not UTF-8 text"))?;
        let agents = Selector::parse(&agents)
            .map_err(|error| Status::invalid_argument(format!("the selector: {error}")))?;
        let core = Arc::clone(&self.core);
        unbroken(async move {
            let said = name.clone();
            let replaced = core.vault.set(name, value, agents).await;
            let replaced = replaced.map_err(Status::invalid_argument)?;
            tracing::info!(target: "audit", name = said, by = caller.name, "a secret was set");
            Ok(Response::new(SetSecretResponse { replaced }))
        })
        .await
    }

    async fn list_secrets(
        &self,
        request: Request<ListSecretsRequest>,
    ) -> Result<Response<ListSecretsResponse>, Status> {
        Caller::of(&request)?;
        let listed = self.core.vault.list().await.map_err(Status::internal)?;
        let secrets = listed.into_iter().map(|secret| SecretInfo {
            name: secret.name,
            set: Some(secret.set.into()),
            agents: secret.agents.unwrap_or_default(),
        });
        Ok(Response::new(ListSecretsResponse {
            secrets: secrets.collect(),
        }))
    }

    async fn remove_secret(
        &self,
        request: Request<RemoveSecretRequest>,
    ) -> Result<Response<RemoveSecretResponse>, Status> {
        let caller = Caller::of(&request)?;
        let name = request.into_inner().name;
        let core = Arc::clone(&self.core);
        unbroken(async move {
            let removed = core.vault.remove(name.clone()).await;
            let removed = removed.map_err(Status::internal)?;
            tracing::info!(target: "audit", name, by = caller.name, "a secret was removed");
            Ok(Response::new(RemoveSecretResponse { removed }))
        })
        .await
    }
}

/// What somebody did is written down, with whom it is about.
fn note(caller: &Caller, what: &'static str, about: &str) {
    tracing::info!(target: "audit", by = caller.name, role = %caller.role, about, "{what}");
}

fn run_of(answer: &SubmitResponse) -> &str {
    answer.run.as_ref().map_or("", |run| run.id.as_str())
}

impl Operators {
    fn tokens(&self) -> Result<&Tokens, Status> {
        self.tokens.as_ref().ok_or_else(|| {
            Status::failed_precondition(
                "a master without TLS has no certificates, and so no tokens",
            )
        })
    }
}
