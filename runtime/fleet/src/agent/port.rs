//! The agent's own port: whether it lives, what it is, and what it grants. No work comes in here.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use super::Agent;
use super::visitors::visitors;
use crate::pki::Credential;
use crate::telemetry::Counting;
use crate::wire::DESCRIPTORS;
use crate::wire::generated::agent_server::{self, AgentServer};
use crate::wire::generated::{DescribeRequest, Description};

/// Most connections at once.
const VISITORS: usize = 64;
/// Most requests of one connection at a time.
const AT_ONCE: u32 = 16;

/// Answers on a port with the certificate that the agent has now, and with each that follows it.
pub async fn serve_proving(
    agent: Agent,
    mut listener: TcpListener,
    mut credential: watch::Receiver<Credential>,
) -> Result<(), String> {
    let failed =
        |error: std::io::Error| format!("failed to listen on the agent's port again: {error}");
    let address = listener.local_addr().map_err(failed)?;
    loop {
        let tls = credential.borrow_and_update().own_port();
        tokio::select! {
            served = serve(agent.clone(), listener, Some(tls)) => return served,
            renewed = credential.changed() => if renewed.is_err() {
                return Err("nobody keeps the agent's certificate any more".to_owned());
            },
        }
        listener = TcpListener::bind(address).await.map_err(failed)?;
    }
}

/// Answers on a port for as long as this is awaited.
pub async fn serve(
    agent: Agent,
    listener: TcpListener,
    tls: Option<ServerTlsConfig>,
) -> Result<(), String> {
    let failed =
        |error: &dyn std::error::Error| format!("failed to serve the agent's port: {error}");
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    may_be_open(address, tls.is_some())?;
    let (health, answers) = tonic_health::server::health_reporter();
    health.set_serving::<AgentServer<Port>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .with_service_name("sloth.v1.Agent")
        .build_v1()
        .map_err(|error| failed(&error))?;
    let mut server = Server::builder()
        .concurrency_limit_per_connection(AT_ONCE as usize)
        .max_concurrent_streams(AT_ONCE)
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(30)));
    if let Some(tls) = tls {
        server = server.tls_config(tls).map_err(|error| failed(&error))?;
    }
    let telemetry = agent.0.config.telemetry.clone();
    let mut routes = Routes::builder();
    routes
        .add_service(answers)
        .add_service(reflection)
        .add_service(AgentServer::new(Port(agent)));
    let counting = Counting::before(routes.routes().prepare(), telemetry, method);
    server
        .serve_with_incoming(counting, visitors(listener, VISITORS))
        .await
        .map_err(|error| failed(&error))
}

/// Every method that the port has.
const METHODS: [&str; 4] = [
    "sloth.v1.Agent/Describe",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// The method of a request's path, if the port has it.
fn method(path: &str) -> Option<&'static str> {
    let asked = path.strip_prefix('/')?;
    METHODS.into_iter().find(|method| *method == asked)
}

/// Without TLS, anybody who reaches the port could ask.
fn may_be_open(address: SocketAddr, tls: bool) -> Result<(), String> {
    if tls || address.ip().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "the agent's port on {address} would be open to all without TLS; bind it to 127.0.0.1, or give the \
         agent a certificate"
    ))
}

struct Port(Agent);

#[tonic::async_trait]
impl agent_server::Agent for Port {
    async fn describe(&self, _: Request<DescribeRequest>) -> Result<Response<Description>, Status> {
        let shared = &self.0.0;
        Ok(Response::new(Description {
            name: shared.config.name.clone(),
            version: shared.config.version.clone(),
            labels: shared.config.labels.clone().into_iter().collect(),
            facts: shared.facts().await,
            policy: shared.policies.held().text.to_string(),
            started: Some(shared.started.into()),
            connected: shared.link.is_up(),
        }))
    }
}
