//! A master's doors on loopback, and behind them services that say that they were reached.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sloth_fleet::master::access::registrar::{CertificateRecord, TokenRecord};
use sloth_fleet::master::{
    Caller, Doors, Enrolment, Limits, Proof, Registrar, Revocations, Security, Tokens,
};
use sloth_fleet::pki::{Authority, Clock, Credential, Kind, Role, Subject, Token};
use sloth_fleet::telemetry::Telemetry;
use sloth_fleet::wire::client::{Access, Address, Reached, reach};
use sloth_fleet::wire::generated::enrolment_server::EnrolmentServer;
use sloth_fleet::wire::generated::fleet_server::{Fleet, FleetServer};
use sloth_fleet::wire::generated::session_server::{Session, SessionServer};
use sloth_fleet::wire::generated::{self, Downward, Upward};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::memory::Memory;

pub(crate) const DAY: Duration = Duration::from_hours(24);

pub(crate) struct House {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) authority: Arc<Authority>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) revocations: Revocations,
    pub(crate) address: Address,
    pub(crate) socket: SocketAddr,
    /// Seconds that the master's clock is ahead.
    pub(crate) ahead: Arc<AtomicU64>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for House {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with(Limits::of_process(), false).await
    }

    pub(crate) async fn with(limits: Limits, insecure: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority =
            Authority::in_folder(&folder.path().join("pki"), SystemTime::now()).unwrap();
        let authority = Arc::new(authority);
        let memory = Arc::new(Memory::default());
        let ahead = Arc::new(AtomicU64::new(0));
        let clock = Clock::of({
            let ahead = ahead.clone();
            move || SystemTime::now() + Duration::from_secs(ahead.load(Ordering::SeqCst))
        });
        let revocations = Revocations::new(clock.clone());
        let tokens = Tokens {
            authority: authority.fingerprint(),
            registrar: memory.clone(),
            revocations: revocations.clone(),
            clock: clock.clone(),
            selectors: Arc::new(|selector| {
                if selector.contains('=') {
                    Ok(())
                } else {
                    Err("no selector".to_owned())
                }
            }),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = listener.local_addr().unwrap();
        let (health, answers) = tonic_health::server::health_reporter();
        health.set_serving::<FleetServer<Desk>>().await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(sloth_fleet::wire::DESCRIPTORS)
            .build_v1()
            .unwrap();
        let routes = Routes::new(answers)
            .add_service(reflection)
            .add_service(SessionServer::new(Lobby))
            .add_service(FleetServer::new(Desk(tokens.clone())))
            .add_service(EnrolmentServer::new(Enrolment {
                authority: authority.clone(),
                registrar: memory.clone(),
                clock: clock.clone(),
            }));
        let security = if insecure {
            Security::Insecure
        } else {
            Security::Tls {
                authority: authority.clone(),
                names: vec!["fleet.example.com".to_owned()],
            }
        };
        let doors = Doors {
            listener,
            security,
            registrar: memory.clone(),
            revocations: revocations.clone(),
            limits,
            clock,
            telemetry: Telemetry::off(),
        };
        let serving = tokio::spawn(async move {
            doors.serve(routes, std::future::pending()).await.unwrap();
        });
        Self {
            folder,
            authority,
            memory,
            revocations,
            address: socket.to_string().parse().unwrap(),
            socket,
            ahead,
            serving,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A credential that the master knows, made at a moment.
    pub(crate) async fn credential_at(&self, name: &str, role: Role, at: SystemTime) -> Credential {
        let subject = Subject {
            name: name.parse().unwrap(),
            role,
        };
        let credential = Credential::signed(&self.authority, &subject, at).unwrap();
        let identity = credential.identity().clone();
        let record = CertificateRecord {
            serial: identity.serial,
            subject,
            scope: String::new(),
            issued: identity.begins,
            expires: identity.expires,
            revoked: false,
        };
        self.memory.keep(record).await.unwrap();
        credential
    }

    pub(crate) async fn credential(&self, name: &str, role: Role) -> Credential {
        self.credential_at(name, role, SystemTime::now()).await
    }

    pub(crate) async fn reach_as(&self, name: &str, role: Role) -> Reached {
        let credential = self.credential(name, role).await;
        reach(&self.address, &Access::Credential(Box::new(credential)))
            .await
            .unwrap()
    }

    /// A token that the master knows.
    pub(crate) async fn token(&self, kind: Kind, role: Role, uses: u32) -> Token {
        let token = Token::draw(kind, self.authority.fingerprint()).unwrap();
        let record = TokenRecord {
            id: token.digest().to_string()[..8].to_owned(),
            kind,
            digest: token.digest(),
            role,
            expires: SystemTime::now() + Duration::from_hours(1),
            uses_left: uses,
            labels: BTreeMap::new(),
            scope: String::new(),
            made_by: "admin".to_owned(),
            revoked: false,
        };
        self.memory.make(record).await.unwrap();
        token
    }

    pub(crate) async fn revoke(&self, name: &str) {
        let serials = self
            .memory
            .revoke_name(&name.parse().unwrap())
            .await
            .unwrap();
        self.revocations
            .revoke(serials.into_iter().map(Proof::Certificate));
    }
}

pub(crate) fn reached() -> Status {
    Status::unimplemented("reached")
}

/// Answers a session's Hello, and then nothing more.
struct Lobby;

type Stands<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Session for Lobby {
    type ControlStream = Stands<Downward>;
    type DeliverStream = Stands<generated::Kept>;
    type FetchStream = Stands<generated::Piece>;

    async fn control(
        &self,
        request: Request<Streaming<Upward>>,
    ) -> Result<Response<Stands<Downward>>, Status> {
        let caller = Caller::of(&request)?;
        let mut frames = request.into_inner();
        let Some(Upward {
            kind: Some(generated::upward::Kind::Hello(hello)),
        }) = frames.message().await?
        else {
            return Err(Status::invalid_argument("the first message is a Hello"));
        };
        caller.speaks_as(&hello.name, hello.run.as_deref())?;
        let welcome = Downward {
            kind: Some(generated::downward::Kind::Welcome(
                generated::Welcome::default(),
            )),
        };
        let (send, receive) = tokio::sync::mpsc::channel(1);
        send.send(Ok(welcome)).await.unwrap();
        tokio::spawn(async move {
            while let Ok(Some(_)) = frames.message().await {}
            // Its handler is told as well, and lets go.
            drop(send);
        });
        Ok(Response::new(Box::pin(
            tokio_stream::wrappers::ReceiverStream::new(receive),
        )))
    }

    async fn deliver(
        &self,
        _: Request<Streaming<generated::Delivery>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        Err(reached())
    }

    async fn fetch(
        &self,
        _: Request<generated::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        Err(reached())
    }

    async fn keep(
        &self,
        request: Request<Streaming<generated::Piece>>,
    ) -> Result<Response<generated::KeepResponse>, Status> {
        let mut pieces = request.into_inner();
        while pieces.message().await?.is_some() {}
        Err(reached())
    }
}

/// Makes tokens; for the rest, says that it was reached.
struct Desk(Tokens);

macro_rules! desk {
    ($($name:ident: $request:ty => $response:ty),* $(,)?) => {
        #[tonic::async_trait]
        impl Fleet for Desk {
            type WatchStream = Stands<generated::Record>;

            async fn create_token(
                &self,
                request: Request<generated::CreateTokenRequest>,
            ) -> Result<Response<generated::CreateTokenResponse>, Status> {
                let caller = Caller::of(&request)?;
                self.0.create(&caller, request.into_inner()).await.map(Response::new)
            }

            async fn list_tokens(
                &self,
                _: Request<generated::ListTokensRequest>,
            ) -> Result<Response<generated::ListTokensResponse>, Status> {
                self.0.list().await.map(Response::new)
            }

            async fn revoke_token(
                &self,
                request: Request<generated::RevokeTokenRequest>,
            ) -> Result<Response<generated::RevokeTokenResponse>, Status> {
                let caller = Caller::of(&request)?;
                self.0.revoke(&caller, request.into_inner()).await.map(Response::new)
            }

            async fn watch(
                &self,
                _: Request<generated::WatchRequest>,
            ) -> Result<Response<Self::WatchStream>, Status> {
                Ok(Response::new(Box::pin(tokio_stream::pending())))
            }

            $(async fn $name(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                Err(reached())
            })*
        }
    };
}

desk!(
    upload: Streaming<generated::Piece> => generated::UploadResponse,
    submit: generated::SubmitRequest => generated::SubmitResponse,
    cancel: generated::CancelRequest => generated::RunInfo,
    resume: generated::ResumeRequest => generated::SubmitResponse,
    get_run: generated::GetRunRequest => generated::RunDetail,
    list_runs: generated::ListRunsRequest => generated::ListRunsResponse,
    list_agents: generated::ListAgentsRequest => generated::ListAgentsResponse,
    get_agent: generated::GetAgentRequest => generated::AgentDetail,
    drain_agent: generated::DrainAgentRequest => generated::AgentInfo,
    remove_agent: generated::RemoveAgentRequest => generated::RemoveAgentResponse,
    set_secret: generated::SetSecretRequest => generated::SetSecretResponse,
    list_secrets: generated::ListSecretsRequest => generated::ListSecretsResponse,
    remove_secret: generated::RemoveSecretRequest => generated::RemoveSecretResponse,
);
