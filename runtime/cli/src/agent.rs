//! `agent`: this machine at a master's service.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use sloth_fleet::agent::{Agent, Config, Granting, Patience, ReadPolicy, notify};
use sloth_fleet::pki::{Kind, Token};
use sloth_fleet::store::journal::Bounds;
use sloth_fleet::telemetry::Mode;
use sloth_fleet::wire::client::Address;
use sloth_policy::{Policy, parse_duration, parse_size};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use crate::command::Shared;
use crate::exit::Exit;
use crate::telemetry::{TelemetryOptions, Watching};
use crate::trust::Trust;
use crate::{audit, input, place, plan, remote, secret};

/// Run steps on this machine for a master, or see to the agents of one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sloth-runner agent start --name web-01 --master fleet.example.com:50053 --token-file token
  sloth-runner agent list")]
pub(crate) struct AgentOptions {
    #[command(subcommand)]
    pub(crate) command: AgentCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Begin to work: reach the master, and run what it gives out as far as the policy grants it.
    #[command(
        after_help = "What steps may do is decided here: --policy, else policy.toml in the data folder, else nothing is
granted. SIGHUP reads the policy again; an invalid one changes nothing. SIGTERM lets what runs
finish and takes nothing on; the second one, or --drain-timeout, cancels it. Every option is
read from the environment too.

Examples:
  sloth-runner agent start --name web-01 --master 127.0.0.1:50053 --insecure
  sloth-runner agent start --name web-01 --master fleet.example.com --token-file token \\
      --labels role=web,region=eu --policy /etc/sloth-runner/policy.toml"
    )]
    Start(Box<StartOptions>),
    #[command(flatten)]
    Fleet(FleetCommand),
}

/// What is asked of the master about its agents.
#[derive(Debug, Subcommand)]
pub(crate) enum FleetCommand {
    /// List the agents of the master.
    #[command(
        after_help = "With --output json: {\"agents\": [{\"name\", \"state\", \"version\", \"last-seen\", \"labels\",
\"address\", \"reachable\", \"running\"}]}, where a state is online, lost or drained. Reachable is whether
the agent's own port answered the master at its --report-address, and null where that is unknown.

Examples:
  sloth-runner agent list
  sloth-runner agent list 'role=web and not region=eu'"
    )]
    List {
        /// Only those that it means, such as 'role=web'.
        selector: Option<String>,
    },
    /// Show what an agent is, and what it knows of its machine.
    #[command(
        after_help = "With --output json: what agent list tells of it, with \"facts\", \"policy\"; \"probe\", which is {\"time\",
\"problem\"} of the last time that the master asked its own port, or null; and \"audit\", places where its audit
ended: [{\"number\", \"hash\", \"told\"}].

Example:
  sloth-runner agent show web-01"
    )]
    Show {
        /// The agent.
        name: String,
    },
    /// Show what an agent grants. It can be changed on its own machine only.
    #[command(after_help = "Example:\n  sloth-runner agent policy web-01 > web-01.toml")]
    Policy {
        /// The agent.
        name: String,
    },
    /// Give an agent no more work; what it is at goes on.
    #[command(after_help = "Examples:
  sloth-runner agent drain web-01
  sloth-runner agent drain web-01 --undo")]
    Drain {
        /// The agent.
        name: String,
        /// Give it work again.
        #[arg(long)]
        undo: bool,
    },
    /// Put an agent out: its certificate is good for nothing any more, and its name is free.
    #[command(after_help = "Example:\n  sloth-runner agent remove web-01")]
    Remove {
        /// The agent.
        name: String,
    },
    /// Run one program on an agent, as a step under the policy of that agent.
    #[command(
        after_help = "What the program prints comes out here; the exit code is the program's, and 255 for whatever went
wrong beside it. The agent's policy has to grant the program (process.run), as to any step.

Example:
  sloth-runner agent exec web-01 -- uptime -p"
    )]
    Exec(ExecOptions),
}

/// Run one program on an agent.
#[derive(Debug, Args)]
pub(crate) struct ExecOptions {
    /// The agent.
    pub(crate) name: String,
    /// How long it may take.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    /// The program and its arguments.
    #[arg(required = true, last = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<String>,
}

impl AgentOptions {
    /// Whether the exit code is a program's.
    pub(crate) fn is_exec(&self) -> bool {
        matches!(self.command, AgentCommand::Fleet(FleetCommand::Exec(_)))
    }
}

/// Begin to work.
#[derive(Debug, Args)]
pub(crate) struct StartOptions {
    /// The name that it is known by.
    #[arg(long, env = "SLOTH_RUNNER_NAME", value_name = "NAME")]
    name: String,
    /// Where the master listens.
    #[arg(long, env = "SLOTH_RUNNER_MASTER_ADDR", value_name = "HOST:PORT")]
    master: String,
    /// Speak without TLS, to a master on this very machine.
    #[arg(long, env = "SLOTH_RUNNER_INSECURE")]
    insecure: bool,
    /// The token that a new agent joins with; the environment is better, and a file is best.
    #[arg(
        long,
        env = "SLOTH_RUNNER_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// The file that the token stands in.
    #[arg(long, env = "SLOTH_RUNNER_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Where its own port listens [default: 0.0.0.0; 127.0.0.1 with --insecure].
    #[arg(long, env = "SLOTH_RUNNER_BIND_ADDRESS", value_name = "ADDRESS")]
    bind_address: Option<IpAddr>,
    /// Its own port: health, and what it is and grants. No work comes in there.
    #[arg(long, env = "SLOTH_RUNNER_PORT", default_value_t = 50051)]
    port: u16,
    /// Where its own port can be reached, for the master to tell.
    #[arg(long, env = "SLOTH_RUNNER_REPORT_ADDRESS", value_name = "HOST:PORT")]
    report_address: Option<String>,
    /// What it can be selected by.
    #[arg(
        long,
        env = "SLOTH_RUNNER_LABELS",
        value_name = "KEY=VALUE,…",
        value_delimiter = ',',
        value_parser = label
    )]
    labels: Vec<(String, String)>,
    /// What it grants [default: policy.toml in the data folder].
    #[arg(long, env = "SLOTH_RUNNER_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How long what runs may take when it is told to end; without, as long as it needs.
    #[arg(long, env = "SLOTH_RUNNER_DRAIN_TIMEOUT", value_name = "TIME", value_parser = parse_duration)]
    drain_timeout: Option<Duration>,
    /// How much it keeps of bundles and artifacts.
    #[arg(
        long,
        env = "SLOTH_RUNNER_CONTENTS",
        value_name = "SIZE",
        default_value = "4GiB",
        value_parser = parse_size
    )]
    contents: u64,
    /// The key that this machine's secrets are sealed with [default: secrets.key in the data folder].
    #[arg(long, env = "SLOTH_RUNNER_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    telemetry: TelemetryOptions,
}

pub(crate) fn agent(shared: &Shared, options: &AgentOptions) -> anyhow::Result<Exit> {
    match &options.command {
        AgentCommand::Start(options) => start(shared, options),
        AgentCommand::Fleet(command) => remote::agents::agents(shared, command),
    }
}

fn start(shared: &Shared, options: &StartOptions) -> anyhow::Result<Exit> {
    // Before there is a thread, or anything else that would be begun twice.
    place::drop_api_key()?;
    check_name(&options.name)?;
    let data = place::data_folder(shared)?;
    let mut node = plan::node(shared)?;
    secret::open(shared, options.key_file.as_deref(), &mut node)?;
    if let Some(policy) = &options.policy {
        // A workflow that could change the policy would decide what it may do next.
        node.protected.push(std::path::absolute(policy)?);
    }
    let policy = reader(&data, options.policy.as_deref())?;
    let audit = Arc::new(audit::open(shared)?);
    let own = SocketAddr::new(
        options.bind_address.unwrap_or(if options.insecure {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        }),
        options.port,
    );
    let labels = labels(&options.labels)?;
    if let Some(address) = &options.report_address {
        check_report_address(address)?;
    }
    plan::runtime()?.block_on(async {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let mode = Mode::Agent {
            version: version.clone(),
        };
        let watching = options.telemetry.listen(&mode).await?;
        let listener = TcpListener::bind(own)
            .await
            .with_context(|| format!("failed to listen on {own}; name another with --port"))?;
        let trust = trust(&data, options).await?;
        let config = Config {
            name: options.name.clone(),
            labels,
            data,
            version,
            node,
            dial: trust.dial(),
            policy,
            audit,
            report_address: options.report_address.clone().unwrap_or_default(),
            only: None,
            contents: options.contents,
            bounds: Bounds::default(),
            patience: Patience::default(),
            telemetry: watching.telemetry.clone(),
        };
        let work = Work {
            config,
            listener,
            trust: &trust,
            watching,
            drain_timeout: options.drain_timeout,
        };
        self::work(work).await
    })
}

/// What an agent works with.
pub(crate) struct Work<'a> {
    pub(crate) config: Config,
    /// Its own port.
    pub(crate) listener: TcpListener,
    pub(crate) trust: &'a Trust,
    pub(crate) watching: Watching,
    pub(crate) drain_timeout: Option<Duration>,
}

/// Works until it is told to end and has.
pub(crate) async fn work(work: Work<'_>) -> anyhow::Result<Exit> {
    let Work {
        config,
        listener,
        trust,
        watching,
        drain_timeout,
    } = work;
    // From here on a signal is heard, and ends nothing by itself.
    let signals = Signals::watch().context("failed to watch for signals")?;
    let agent = Agent::open(config).await.map_err(anyhow::Error::msg)?;
    tracing::info!("the agent is up, and answers on {}", listener.local_addr()?);
    if let Some(address) = watching.address() {
        tracing::info!("metrics are on http://{address}/metrics");
    }
    notify::ready();
    tokio::select! {
        () = agent.run() => Ok(Exit::Succeeded),
        () = watching.serve(agent.subject()) => unreachable!("it answers for ever"),
        served = trust.serve(agent.clone(), listener) => match served {
            Ok(()) => bail!("the agent's port is closed"),
            Err(problem) => bail!(problem),
        },
        () = trust.keep() => unreachable!("it keeps it for ever"),
        () = notify::keep_telling(&agent) => unreachable!("it tells for ever"),
        () = signals.obey(&agent, drain_timeout) => unreachable!("it listens for ever"),
    }
}

/// The signals that an agent listens to.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn watch() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn obey(mut self, agent: &Agent, drain_timeout: Option<Duration>) {
        let mut until = None;
        let mut asked = false;
        loop {
            let late = async {
                match until {
                    Some(moment) => tokio::time::sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.hangup.recv() => {
                    reload(agent).await;
                    continue;
                }
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                () = late => {
                    tracing::warn!("the time to drain is over");
                    until = None;
                }
            }
            if asked {
                tracing::warn!("what still runs is cancelled");
                agent.end();
                continue;
            }
            asked = true;
            notify::stopping();
            let running = agent.status().running;
            tracing::info!("the agent drains: {running} calls run, and no more are taken on");
            agent.drain();
            until = drain_timeout.map(|time| tokio::time::Instant::now() + time);
        }
    }
}

async fn reload(agent: &Agent) {
    notify::reloading();
    match agent.reload().await {
        Ok(beyond) => {
            tracing::info!("the policy was read again; it holds for runs from now on");
            if !beyond.is_empty() && place::is_unit() {
                tracing::warn!(
                    "the unit's sandbox was not made for {}, and may refuse it: loosen the unit and restart it \
                     (on NixOS by declaring the policy; `sloth-runner policy check` says what it takes)",
                    beyond.join(", ")
                );
            }
        }
        Err(problem) => {
            let problem = sloth_workflow::Untrusted::new(problem).escaped();
            tracing::error!("the policy that was there goes on to hold: {problem}");
        }
    }
    notify::ready();
}

/// How the policy is read, now and whenever that is asked for.
pub(crate) fn reader(data: &Path, flag: Option<&Path>) -> anyhow::Result<ReadPolicy> {
    let named = flag.map(std::path::absolute).transpose()?;
    let usual = data.join("policy.toml");
    Ok(Arc::new(move || {
        let file = match &named {
            Some(file) => file,
            None if input::is_there(&usual) => &usual,
            None => {
                tracing::warn!(
                    "there is no policy, so nothing is granted; write {}, or name one with --policy",
                    usual.display()
                );
                return Ok(Granting {
                    policy: Policy::nothing(),
                    text: "version = 1\n".to_owned(),
                });
            }
        };
        let read = input::policy_and_text(file).map_err(|error| format!("{error:#}"))?;
        let (policy, text) = read;
        Ok(Granting { policy, text })
    }))
}

/// How the agent that these options are for is trusted.
async fn trust(data: &Path, options: &StartOptions) -> anyhow::Result<Trust> {
    if options.insecure {
        return Trust::insecure(&options.master);
    }
    let token = match (&options.token, &options.token_file) {
        (Some(token), _) => Some(Zeroizing::new(token.clone())),
        (None, Some(file)) => Some(input::token(file)?),
        (None, None) => None,
    };
    let token = token.map(|text| Token::parse(text.trim(), Kind::Join));
    let token = token.transpose()?;
    Trust::join(data, &options.master, &options.name, token.as_ref()).await
}

/// A name stands in certificates, tables and selectors.
pub(crate) fn check_name(name: &str) -> anyhow::Result<()> {
    ensure!(
        is_word(name) && name.len() <= 63 && name != "local",
        "`{}` cannot name an agent: write 1 to 63 letters, digits, `.`, `_` and `-`, a letter or digit first; \
         `local` is every operator's own machine",
        name.escape_debug()
    );
    Ok(())
}

/// Others are told the address as it is, so it says everything.
fn check_report_address(address: &str) -> anyhow::Result<()> {
    let parsed: Result<Address, _> = address.parse();
    let whole = parsed.is_ok_and(|parsed| address.ends_with(&format!(":{}", parsed.port)));
    ensure!(
        whole,
        "`{}` is no address for --report-address; write it as HOST:PORT, for example web-01.example.com:50051",
        address.escape_debug()
    );
    Ok(())
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is no label; write key=value"))?;
    let fits = |text: &str| is_word(text) && text.len() <= 63;
    if fits(key) && fits(value) {
        return Ok((key.to_owned(), value.to_owned()));
    }
    Err(format!(
        "`{text}` is no label: key and value have 1 to 63 letters, digits, `.`, `_` and `-`, a letter or digit \
         first"
    ))
}

fn labels(given: &[(String, String)]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for (key, value) in given {
        if labels.insert(key.clone(), value.clone()).is_some() {
            bail!("the label `{key}` is given twice");
        }
    }
    Ok(labels)
}
