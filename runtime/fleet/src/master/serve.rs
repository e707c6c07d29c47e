//! A master as a process: what it opens, what it takes up again, and how it ends.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sloth_workflow::Selector;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tonic::service::Routes;

use super::Core;
use super::Settings;
use super::probing::{self, Probes};
use super::watched::{Stage, Watched};
use crate::master::access::admin;
use crate::master::access::doors::{Closed, Doors, Security};
use crate::master::access::enrolment::Enrolment;
use crate::master::access::known::Known;
use crate::master::access::limits::Limits;
use crate::master::access::registrar::Registrar;
use crate::master::access::revocations::Revocations;
use crate::master::access::tokens::Tokens;
use crate::master::scheduling::course::Courses;
use crate::master::scheduling::course::Since;
use crate::master::scheduling::registry::Registry;
use crate::master::scheduling::vault::Vault;
use crate::master::scheduling::waiting::Waiting;
use crate::master::services::operators::Operators;
use crate::master::services::session::Sessions;
use crate::master::services::uploads::Uploads;
use crate::pki::{self, Authority, Clock};
use crate::store::master::{self, RunState, Store};
use crate::store::node::secrets::{self, KeyPlace};
use crate::telemetry::{Subject, Telemetry};
use crate::wire::DESCRIPTORS;
use crate::wire::generated::enrolment_server::EnrolmentServer;
use crate::wire::generated::fleet_server::FleetServer;
use crate::wire::generated::session_server::SessionServer;

/// Largest message but for what travels in pieces: a plan of ten thousand tasks fits.
const LARGEST: usize = 16 << 20;
/// Largest message of somebody who need not show who he is: a token, a name and a request for a certificate.
const SMALL: usize = 16 << 10;

/// What a master is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it keeps everything.
    pub data: PathBuf,
    pub address: SocketAddr,
    /// Names of the server in its certificate, besides the one that all masters have.
    pub names: Vec<String>,
    /// Without TLS; on loopback only.
    pub insecure: bool,
    pub settings: Settings,
    /// Where the key is that the fleet's secrets are sealed with.
    pub key: KeyPlace,
    pub telemetry: Telemetry,
}

/// Why a master does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("{0}")]
    Store(#[from] master::Error),
    #[error("{0}")]
    Trust(#[from] pki::Error),
    #[error("{0}")]
    Admin(#[from] admin::Failed),
    #[error("{0}")]
    Secrets(#[from] secrets::Error),
    #[error("failed to listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    #[error("{0}")]
    Doors(#[from] Closed),
}

/// A master that has opened what it keeps, and listens. Nobody is let in yet.
pub struct Master {
    core: Arc<Core>,
    config: Config,
    listener: TcpListener,
    registrar: Arc<dyn Registrar>,
    /// None without TLS.
    authority: Option<Arc<Authority>>,
    clock: Clock,
}

impl Master {
    /// The folder of the authority in the data folder.
    pub const TRUST: &str = "pki";

    /// Opens the store and the authority, and the port.
    pub async fn open(config: Config) -> Result<Self, Failed> {
        let clock = Clock::machine();
        let data = config.data.clone();
        let store = spawn_blocking(move || Store::open(&data)).await;
        let store = Arc::new(store.expect("opening the store does not panic")?);
        if config.telemetry.is_on() {
            store.timed_by(config.telemetry.commits());
        }
        let (data, key) = (config.data.clone(), config.key.clone());
        let vault = spawn_blocking(move || Vault::open(&data, key)).await;
        let vault = vault.expect("reading the secrets does not panic")?;
        let registrar: Arc<dyn Registrar> = Arc::new(Known(Arc::clone(&store)));
        let authority = if config.insecure {
            None
        } else {
            let (folder, now) = (config.data.join(Self::TRUST), clock.now());
            let read = spawn_blocking(move || Authority::in_folder(&folder, now)).await;
            let authority = Arc::new(read.expect("reading the authority does not panic")?);
            let folder = config.data.join(Self::TRUST);
            admin::provide(&folder, &authority, registrar.as_ref(), &clock).await?;
            Some(authority)
        };
        let listener = TcpListener::bind(config.address)
            .await
            .map_err(|error| Failed::Listen(config.address, error))?;
        let core = Core {
            store,
            registry: Registry::new(),
            waiting: Arc::new(Waiting::default()),
            courses: Courses::new(config.settings.concurrent_runs),
            vault,
            probes: Probes::default(),
            uploads: Uploads::default(),
            telemetry: config.telemetry.clone(),
            stage: Stage::default(),
            revocations: Revocations::new(clock.clone()),
            settings: config.settings.clone(),
        };
        Ok(Self {
            core: Arc::new(core),
            config,
            listener,
            registrar,
            authority,
            clock,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What is looked at when somebody asks how it is.
    pub fn subject(&self) -> Arc<dyn Subject> {
        Arc::new(Watched(Arc::clone(&self.core)))
    }

    /// Goes on with the runs that had not ended when the last process did, and lets callers in until `stop`.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) -> Result<(), Failed> {
        for agent in self.core.store.agents().await? {
            if agent.drained {
                self.core.registry.drain(&agent.greeting.name, true);
            }
        }
        let open = self.core.store.open_runs().await?;
        let ids: Vec<String> = open.iter().map(|run| run.id.clone()).collect();
        self.core.keep_locks(&ids).await?;
        // Those first that had begun.
        for run in open {
            let since = Since::Before {
                begun: run.state == RunState::Running,
                cancelling: run.cancelling,
            };
            self.core.take_up(&run.id, since);
        }
        let routes = self.routes().await?;
        let fresh = self.authority.clone().map(|authority| {
            let (registrar, clock) = (Arc::clone(&self.registrar), self.clock.clone());
            let folder = self.config.data.join(Self::TRUST);
            tokio::spawn(async move {
                admin::keep_fresh(&folder, &authority, registrar.as_ref(), &clock).await;
            })
        });
        let keeping = tokio::spawn(prune(Arc::clone(&self.core)));
        let probing = self.authority.clone().map(|authority| {
            let (core, clock) = (Arc::clone(&self.core), self.clock.clone());
            tokio::spawn(probing::probe_all(core, authority, clock))
        });
        let core = Arc::clone(&self.core);
        let doors = Doors {
            listener: self.listener,
            security: match self.authority {
                Some(authority) => Security::Tls {
                    authority,
                    names: self.config.names,
                },
                None => Security::Insecure,
            },
            registrar: self.registrar,
            revocations: self.core.revocations.clone(),
            limits: Limits::of_process(),
            clock: self.clock,
            telemetry: self.core.telemetry.clone(),
        };
        core.stage.serve();
        let stop = async {
            stop.await;
            core.stage.stop();
        };
        let served = doors.serve(routes, stop).await;
        keeping.abort();
        if let Some(probing) = probing {
            probing.abort();
        }
        if let Some(fresh) = fresh {
            fresh.abort();
        }
        Ok(served?)
    }

    async fn routes(&self) -> Result<Routes, Failed> {
        let core = &self.core;
        let operators = Operators {
            core: Arc::clone(core),
            tokens: self.authority.as_ref().map(|authority| Tokens {
                authority: authority.fingerprint(),
                registrar: Arc::clone(&self.registrar),
                revocations: core.revocations.clone(),
                clock: self.clock.clone(),
                selectors: Arc::new(|text| {
                    let parsed = Selector::parse(text).map_err(|error| error.to_string())?;
                    if parsed.asks_for_facts() {
                        return Err(
                            "a scope holds agents by their names and the labels of their tokens; facts are what a \
                             machine says of itself"
                                .to_owned(),
                        );
                    }
                    Ok(())
                }),
            }),
        };
        let sessions = Sessions {
            core: Arc::clone(core),
        };
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<FleetServer<Operators>>().await;
        let mut routes = Routes::builder();
        routes
            .add_service(FleetServer::new(operators).max_decoding_message_size(LARGEST))
            .add_service(SessionServer::new(sessions).max_decoding_message_size(LARGEST))
            .add_service(health.max_decoding_message_size(SMALL));
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let failed = |error: &dyn std::error::Error| Closed::Port(error.to_string());
        let current = reflection().build_v1().map_err(|error| failed(&error))?;
        let older = reflection()
            .build_v1alpha()
            .map_err(|error| failed(&error))?;
        routes.add_service(current).add_service(older);
        if let Some(authority) = &self.authority {
            let enrolment = EnrolmentServer::new(Enrolment {
                authority: Arc::clone(authority),
                registrar: Arc::clone(&self.registrar),
                clock: self.clock.clone(),
            });
            routes.add_service(enrolment.max_decoding_message_size(SMALL));
        }
        Ok(routes.routes())
    }
}

/// Removes what ended too long ago, now and every hour.
async fn prune(core: Arc<Core>) {
    loop {
        let now = SystemTime::now();
        if let Some(before) = now.checked_sub(core.settings.retention) {
            match core.store.prune(before, now).await {
                Ok(pruned) if pruned.runs > 0 => {
                    tracing::info!(runs = pruned.runs, "runs that ended long ago were removed");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "what ended long ago could not be removed"),
            }
        }
        tokio::time::sleep(Duration::from_hours(1)).await;
    }
}
