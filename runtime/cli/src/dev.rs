//! `dev`: a master and one agent on this machine, for trying things. Both are the real thing: their own authority, TLS,
//! a token that is spent for a certificate, a policy that grants nothing unless one is named.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde_json::json;
use sloth_fleet::agent::{Config, Patience};
use sloth_fleet::master::{self, Master};
use sloth_fleet::pki::{Kind, Token};
use sloth_fleet::store::journal::Bounds;
use sloth_fleet::store::node::secrets::KeyPlace;
use sloth_fleet::telemetry::Telemetry;
use sloth_fleet::wire::client::{self, Fleet, Places, Settings};
use sloth_fleet::wire::generated::{
    AgentInfo, AgentState, CreateTokenRequest, ListAgentsRequest, Role as Wanted,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::agent::{self, Work};
use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::telemetry::Watching;
use crate::temporary::Temporary;
use crate::trust::{CREDENTIAL, Trust};
use crate::way::Way;
use crate::{audit, input, place, plan, render, secret};

/// How long the token of the agent is good: it is spent at once.
const TOKEN_LIFE: Duration = Duration::from_mins(5);
/// How often it is looked whether the agent is there.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of contents that the agent keeps.
const CONTENTS: u64 = 1 << 30;

/// Start a master and one agent on this machine, for trying things.
#[derive(Debug, Args)]
#[command(
    after_help = "Both listen on 127.0.0.1 only and are as strict as anywhere: TLS, an authority of their own,
an agent that joins with a token, and nothing granted unless --policy names a file (or
policy.toml lies in agent/ of --data-dir). Without --data-dir everything they keep is removed at
the end; with it, the next start goes on. What to type in another shell is printed, or with
--output json one object: {\"master\", \"credential\", \"agent\", \"data-dir\"}. Ctrl-C ends both
when what runs has ended; a second one cancels that.

Example:
  sloth-runner dev --policy examples/site/policy.toml"
)]
pub(crate) struct DevOptions {
    /// What the agent grants [default: nothing].
    #[arg(long, env = "SLOTH_RUNNER_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The port of the master [default: one that is free].
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    port: u16,
    /// The agent's own port [default: one that is free].
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    agent_port: u16,
    /// The name of the agent.
    #[arg(long, value_name = "NAME", default_value = "dev")]
    name: String,
}

/// Where both keep what they keep.
enum Ground {
    Given(PathBuf),
    Passing(Temporary),
}

impl Ground {
    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Passing(folder) => folder.path(),
        }
    }
}

pub(crate) fn dev(shared: &Shared, options: &DevOptions) -> anyhow::Result<Exit> {
    // Before there is a thread, or anything else that would be begun twice.
    place::drop_api_key()?;
    agent::check_name(&options.name)?;
    ensure!(
        !shared.way.insecure,
        "dev speaks TLS, as everybody does; leave --insecure out"
    );
    let usual = place::data_folder(shared)?;
    let ground = match &shared.data_dir {
        Some(_) => Ground::Given(usual.clone()),
        None => Ground::Passing(Temporary::make()?),
    };
    let base = ground.path();
    let own = Shared {
        data_dir: Some(base.join("agent")),
        plugins: Some(crate::plugin::folder(shared)?),
        guest: shared.guest.clone(),
        program_path: shared.program_path.clone(),
        output: shared.output,
        way: Way {
            master: None,
            credential: None,
            insecure: false,
        },
        color: shared.color,
    };
    let mut node = plan::node(&own)?;
    secret::open(&own, None, &mut node)?;
    // The compiled guest of this user's other commands is as good, and there already.
    node.cache = usual.join("cache");
    node.protected.extend([base.to_owned(), usual]);
    if let Some(policy) = &options.policy {
        node.protected.push(std::path::absolute(policy)?);
    }
    let agent = base.join("agent");
    let policy = agent::reader(&agent, options.policy.as_deref())?;
    let audit = Arc::new(audit::open(&own)?);
    plan::runtime()?.block_on(async {
        let house = House::open(base, options.port).await?;
        let listener = TcpListener::bind(here(options.agent_port)).await;
        let listener = listener.with_context(|| {
            format!(
                "failed to listen on {} for the agent; name another port with --agent-port",
                here(options.agent_port)
            )
        })?;
        let trust = house.enrol(&agent, &options.name).await?;
        let config = Config {
            name: options.name.clone(),
            labels: BTreeMap::new(),
            data: agent,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node,
            dial: trust.dial(),
            policy,
            audit,
            report_address: listener.local_addr()?.to_string(),
            only: None,
            contents: CONTENTS,
            bounds: Bounds::default(),
            patience: Patience {
                first: Duration::from_millis(100),
                longest: Duration::from_secs(5),
            },
            telemetry: Telemetry::off(),
        };
        let work = Work {
            config,
            listener,
            trust: &trust,
            watching: Watching::nobody(),
            drain_timeout: None,
        };
        Box::pin(house.keep(shared.output, options, work)).await
    })
}

const fn here(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// A master that serves.
struct House {
    base: PathBuf,
    address: SocketAddr,
    /// Ends it.
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<Result<(), master::Failed>>,
}

impl House {
    async fn open(base: &Path, port: u16) -> anyhow::Result<Self> {
        let master = Master::open(master::Config {
            data: base.join("master"),
            address: here(port),
            names: Vec::new(),
            insecure: false,
            settings: master::Settings::default(),
            key: KeyPlace::Beside,
            telemetry: Telemetry::off(),
        });
        let master = master.await.context("failed to start the master")?;
        let address = master.address().context("failed to learn its own port")?;
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(master.serve(async {
            // Whoever drops the other end wants it to end too.
            let _ = stopped.await;
        }));
        Ok(Self {
            base: base.to_owned(),
            address,
            stop,
            serving,
        })
    }

    async fn fleet(&self) -> anyhow::Result<Fleet> {
        let settings = Settings {
            master: self.address.to_string().parse()?,
            places: Places {
                named: Some(credential(&self.base)),
                ..Places::default()
            },
            insecure: false,
        };
        Ok(client::connect(&settings).await?)
    }

    /// Lets the agent in as any other: with a token, unless it has a certificate already.
    async fn enrol(&self, agent: &Path, name: &str) -> anyhow::Result<Trust> {
        let token = if input::is_there(&agent.join(CREDENTIAL)) {
            None
        } else {
            let request = CreateTokenRequest {
                role: Wanted::Agent.into(),
                ttl_s: TOKEN_LIFE.as_secs(),
                uses: 1,
                ..CreateTokenRequest::default()
            };
            let mut fleet = self.fleet().await?;
            let made = fleet
                .create_token(request)
                .await
                .map_err(client::problem)
                .context("failed to make a token for the agent")?;
            Some(Token::parse(&made.into_inner().token, Kind::Join)?)
        };
        Trust::join(agent, &self.address.to_string(), name, token.as_ref()).await
    }

    /// Keeps both up until the agent has been drained, and then ends the master.
    async fn keep(
        mut self,
        output: Output,
        options: &DevOptions,
        work: Work<'_>,
    ) -> anyhow::Result<Exit> {
        let fleet = self.fleet().await?;
        let told = async {
            online(fleet, &options.name).await?;
            tell(output, options, self.address, &self.base);
            std::future::pending::<anyhow::Result<Exit>>().await
        };
        let exit = tokio::select! {
            ended = agent::work(work) => ended?,
            problem = told => problem?,
            ended = &mut self.serving => {
                ended.context("the master ended")?.context("the master ended")?;
                bail!("the master ended by itself");
            }
        };
        // What the agent had to tell is told by now.
        drop(self.stop);
        let ended = self.serving.await.context("the master ended")?;
        ended.context("the master ended")?;
        Ok(exit)
    }
}

fn credential(base: &Path) -> PathBuf {
    base.join("master").join(Master::TRUST).join("admin.pem")
}

/// Waits until the master has the agent.
async fn online(mut fleet: Fleet, name: &str) -> anyhow::Result<()> {
    loop {
        let listed = fleet.list_agents(ListAgentsRequest::default()).await;
        let agents = listed.map_err(client::problem)?.into_inner().agents;
        let there = |agent: &AgentInfo| agent.name == name && agent.state() == AgentState::Online;
        if agents.iter().any(there) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Says what to type.
fn tell(output: Output, options: &DevOptions, address: SocketAddr, base: &Path) {
    let credential = credential(base);
    if output == Output::Json {
        return render::line(&render::json_line(&json!({
            "master": address.to_string(),
            "credential": credential,
            "agent": options.name,
            "data-dir": base,
        })));
    }
    let name = &options.name;
    let usual = base.join("agent").join("policy.toml");
    let grants = match &options.policy {
        Some(file) => format!("what {} says", file.display()),
        None if input::is_there(&usual) => format!("what {} says", usual.display()),
        None => "nothing (--policy names a file)".to_owned(),
    };
    for line in [
        format!("the master listens on {address}; the agent {name} works for it"),
        format!("the agent grants {grants}"),
        "In another shell:".to_owned(),
        format!("  export SLOTH_RUNNER_MASTER_ADDR={address}"),
        format!("  export SLOTH_RUNNER_CREDENTIAL={}", quoted(&credential)),
        "  sloth-runner agent list".to_owned(),
        format!(
            "  sloth-runner run hello -f examples/hello/workflow.sloth --delegate-to {name} --yes"
        ),
        "Ctrl-C ends both.".to_owned(),
    ] {
        render::line(&line);
    }
}

/// A path as a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    if text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("/tmp/a-1/b.pem")), "/tmp/a-1/b.pem");
        assert_eq!(quoted(Path::new("/tmp/a b")), "'/tmp/a b'");
        assert_eq!(quoted(Path::new("/it's")), r"'/it'\''s'");
    }
}
