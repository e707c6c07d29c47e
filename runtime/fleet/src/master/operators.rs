//! What operators ask of the master, and the answers.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use sloth_workflow::{Plan, Selector};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::doors::Caller;
use super::session::keeping;
use super::{Core, course};
use crate::store::master::{NewRun, RunFilter};
use crate::wire::generated::fleet_server::Fleet;
use crate::wire::generated::{
    AgentDetail, AgentInfo, CancelRequest, CreateTokenRequest, CreateTokenResponse,
    DrainAgentRequest, GetAgentRequest, GetRunRequest, ListAgentsRequest, ListAgentsResponse,
    ListRunsRequest, ListRunsResponse, ListTokensRequest, ListTokensResponse, Piece, Record,
    RemoveAgentRequest, RemoveAgentResponse, ResumeRequest, RevokeTokenRequest,
    RevokeTokenResponse, RunDetail, RunInfo, SubmitRequest, SubmitResponse, UploadResponse,
    WatchRequest,
};

/// Events that are read from the store at once.
const PAGE: u32 = 512;

/// The service that operators call.
pub(super) struct Operators {
    pub(super) core: Arc<Core>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Fleet for Operators {
    type WatchStream = Answers<Record>;

    async fn upload(
        &self,
        request: Request<Streaming<Piece>>,
    ) -> Result<Response<UploadResponse>, Status> {
        Caller::of(&request)?;
        let digest = self.core.keep(request.into_inner()).await?;
        Ok(Response::new(UploadResponse { digest }))
    }

    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let caller = Caller::of(&request)?;
        let answer = self.core.submit(&caller, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = Caller::of(&request)?;
        let wanted = request.into_inner();
        self.core.seen_by(&caller, &wanted.run).await?;
        let (sender, answers) = mpsc::channel(64);
        let core = Arc::clone(&self.core);
        tokio::spawn(async move {
            let watching = core.watch(wanted, &sender);
            let ended = tokio::select! {
                ended = watching => ended,
                () = caller.revoked() => Err(Status::unauthenticated("the certificate is revoked")),
            };
            if let Err(status) = ended {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn cancel(
        &self,
        request: Request<CancelRequest>,
    ) -> Result<Response<RunInfo>, Status> {
        let caller = Caller::of(&request)?;
        let run = request.into_inner().run;
        self.core.seen_by(&caller, &run).await?;
        // Kept first: a master that ends here goes on with the cancel.
        self.core.store.cancel(&run).await.map_err(keeping)?;
        self.core.courses.cancel(&run);
        let found = self.core.seen_by(&caller, &run).await?;
        Ok(Response::new(found.info()))
    }

    async fn resume(
        &self,
        request: Request<ResumeRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let caller = Caller::of(&request)?;
        let answer = self.core.resume(&caller, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_run(
        &self,
        request: Request<GetRunRequest>,
    ) -> Result<Response<RunDetail>, Status> {
        let caller = Caller::of(&request)?;
        let run = self.core.seen_by(&caller, &request.into_inner().run).await?;
        let steps = self.core.store.steps(&run.id).await.map_err(keeping)?;
        Ok(Response::new(RunDetail {
            outputs: cbor::encode(&run.outputs),
            events: run.events,
            steps: steps.into_iter().map(Into::into).collect(),
            run: Some(run.into()),
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
        let agents = self.core.agents(&caller, &request.into_inner().selector).await?;
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
        let info = self.core.drain_agent(&caller, request.into_inner()).await?;
        Ok(Response::new(info))
    }

    async fn remove_agent(
        &self,
        request: Request<RemoveAgentRequest>,
    ) -> Result<Response<RemoveAgentResponse>, Status> {
        let caller = Caller::of(&request)?;
        self.core.remove_agent(&caller, &request.into_inner().name).await?;
        Ok(Response::new(RemoveAgentResponse {}))
    }

    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let caller = Caller::of(&request)?;
        let made = self.core.create_token(&caller, request.into_inner()).await?;
        Ok(Response::new(made))
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        Caller::of(&request)?;
        let tokens = self.core.store.tokens().await.map_err(keeping)?;
        Ok(Response::new(ListTokensResponse {
            tokens: tokens.into_iter().map(Into::into).collect(),
        }))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        Caller::of(&request)?;
        let id = request.into_inner().id;
        if self.core.store.revoke_token(&id).await.map_err(keeping)? {
            return Ok(Response::new(RevokeTokenResponse {}));
        }
        Err(Status::not_found(format!("there is no token `{id}`; see sloth-runner token list")))
    }
}
