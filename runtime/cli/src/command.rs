//! What can be asked on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::agent::AgentOptions;
use crate::audit::AuditOptions;
use crate::dev::DevOptions;
use crate::login::LoginOptions;
use crate::master::MasterOptions;
use crate::plugin::PluginOptions;
use crate::remote::options::OnAgents;
use crate::runs::RunsOptions;
use crate::sandbox::SandboxOptions;
pub(crate) use crate::shared::{Color, LogFormat, LogLevel, Output, Shared};
use crate::sign::SignOptions;
use crate::stack::StackOptions;
use crate::state::StateOptions;
use crate::token::TokenOptions;

/// Runs automation that nobody has to trust.
#[derive(Debug, Parser)]
#[command(
    name = "sloth-runner",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "Examples:
  sloth-runner run hello -f examples/hello/workflow.sloth --yes
  sloth-runner run site -f site.sloth --policy policy.toml --check --diff
  sloth-runner init backup
  sloth-runner check site.sloth
  sloth-runner plan site.sloth
  sloth-runner modules fs
  sloth-runner policy explain policy.toml 'files.write /etc/motd'
  sloth-runner secret set db-password")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// How much the program says of itself on standard error [default: warn; agents: info].
    #[arg(
        long,
        global = true,
        env = "SLOTH_RUNNER_LOG_LEVEL",
        value_name = "LEVEL"
    )]
    pub(crate) log_level: Option<LogLevel>,
    /// How it says that.
    #[arg(
        long,
        global = true,
        env = "SLOTH_RUNNER_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub(crate) log_format: LogFormat,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workflow, on this machine or on agents.
    Run(Box<RunOptions>),
    /// Show what was run, and how it went.
    Runs(RunsOptions),
    /// Show what a workflow file declares, without running anything.
    Plan(PlanOptions),
    /// Say what is wrong with workflow files, and nothing if nothing is.
    Check(CheckOptions),
    /// Write the beginnings of a workflow: the file, its policy and its values.
    Init(InitOptions),
    /// Show what workflow files can call.
    Modules(ModulesOptions),
    /// Print what workflow files can call as annotations for editors.
    LuaTypes(LuaTypesOptions),
    /// Check a policy, or ask what it decides.
    Policy(PolicyOptions),
    /// Show and change the values that workflows keep on this node.
    State(StateOptions),
    /// Show and delete what the runs of a stack left on this node.
    Stack(StackOptions),
    /// Keep passwords and keys that workflows use without seeing them.
    Secret(SecretOptions),
    /// Show what steps did on this machine, or verify the record of it.
    Audit(AuditOptions),
    /// Keep runs, and give them out to agents.
    Master(MasterOptions),
    /// Run steps on this machine for a master, or see to the agents of one.
    Agent(AgentOptions),
    /// Start a master and one agent on this machine, for trying things.
    Dev(DevOptions),
    /// Add functions to workflows: components that others wrote, in any language.
    Plugin(PluginOptions),
    /// Sign a workflow, or make a key to sign with.
    Sign(SignOptions),
    /// Let machines and people join the fleet.
    Token(TokenOptions),
    /// Spend a join token for a credential of your own.
    Login(LoginOptions),
    /// Compile what steps run in, once and for many machines.
    Sandbox(SandboxOptions),
    /// Print completions for a shell.
    Completions(CompletionsOptions),
    /// Print the manual page.
    Man(ManOptions),
    /// Print the version.
    Version(VersionOptions),
}

/// Run a workflow, on this machine or on agents.
#[derive(Debug, Args)]
#[command(
    after_help = "What a workflow may do is decided by the policy: --policy, else policy.toml in
$XDG_CONFIG_HOME/sloth-runner, else nothing is granted. On a terminal the declared
capabilities are shown, and a \"yes\" grants them for this run.

Exit codes: 0 succeeded, 1 failed, 2 wrong usage or invalid workflow, 3 denied by
policy, 4 an agent is unknown, unreachable or not in time, 5 --check found changes to
make, 130 cancelled.

With --delegate-to or --targets the steps run on agents of the master, each under the
policy of its own agent, and what goes on is shown here. Ctrl-C asks whether to cancel
the run or to leave it alone.

Examples:
  sloth-runner run hello -f examples/hello/workflow.sloth --yes
  sloth-runner run site -f site.sloth --policy policy.toml --var port:=8080 --yes
  sloth-runner run site -f site.sloth --policy policy.toml --check --diff
  sloth-runner run deploy -f deploy.sloth --delegate-to web-01 --delegate-to web-02 --yes"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct RunOptions {
    /// The name that runs of this kind are grouped under.
    pub(crate) stack: String,
    /// The workflow file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Run this workflow of a file with several; all run in file order otherwise.
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// Values in YAML, TOML or JSON; later files win.
    #[arg(short = 'v', long = "values", value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,
    /// One value: a.b=text, or a.b:=json for numbers, lists and the like.
    #[arg(long = "var", value_name = "KEY=VALUE")]
    pub(crate) vars: Vec<String>,
    /// What the workflow is granted.
    #[arg(long, env = "SLOTH_RUNNER_POLICY", value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Do not ask. Grants nothing.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Grant what the workflow declares, unless that gives the account away.
    #[arg(long)]
    pub(crate) grant_declared: bool,
    /// Run only this task and what it depends on; may be repeated.
    #[arg(long = "task", value_name = "NAME")]
    pub(crate) tasks: Vec<String>,
    /// Leave this task out; may be repeated. What depends on it runs without its outputs.
    #[arg(long = "skip", value_name = "NAME")]
    pub(crate) skips: Vec<String>,
    /// Change nothing; say what would be changed, and exit 5 if anything would.
    #[arg(long, visible_alias = "dry-run")]
    pub(crate) check: bool,
    /// Show changes of text files as unified diffs.
    #[arg(long)]
    pub(crate) diff: bool,
    /// Write a policy that allows exactly what the run tries. What is not granted answers as if it
    /// were not there; with --check nothing is applied.
    #[arg(long, value_name = "OUT")]
    pub(crate) learn: Option<PathBuf>,
    /// While learning, answer truly what only looks: for files that you trust.
    #[arg(long, requires = "learn")]
    pub(crate) learn_observe: bool,
    /// Do not write the run down for sloth-runner runs.
    #[arg(long)]
    pub(crate) no_history: bool,
    /// Where relative paths of tasks start, instead of each step's scratch folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) workdir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) agents: OnAgents,
    /// The key that this machine's secrets are sealed with [default: secrets.key in the data folder].
    #[arg(long, env = "SLOTH_RUNNER_KEY_FILE", value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

/// Show what a workflow file declares, without running anything.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sloth-runner plan site.sloth
  sloth-runner plan site.sloth --quiet
  sloth-runner plan site.sloth --format dot | dot -Tsvg > site.svg")]
pub(crate) struct PlanOptions {
    /// The workflow file.
    pub(crate) file: PathBuf,
    /// How to show it [default: text, or json with --output json].
    #[arg(long)]
    pub(crate) format: Option<PlanFormat>,
    /// Print nothing but what is wrong with the file, as check does.
    #[arg(short, long, conflicts_with = "format")]
    pub(crate) quiet: bool,
    /// Values in YAML, TOML or JSON; later files win.
    #[arg(short = 'v', long = "values", value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,
    /// One value: a.b=text, or a.b:=json.
    #[arg(long = "var", value_name = "KEY=VALUE")]
    pub(crate) vars: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    Text,
    Json,
    Dot,
}

/// Say what is wrong with workflow files, and nothing if nothing is.
#[derive(Debug, Args)]
#[command(
    after_help = "Each file is loaded, nothing is run. What is wrong is a line `file:line: message` on standard
error, and the exit code is 2. With --output json, standard output gets one object:
{\"valid\", \"problems\": [{\"file\", \"line\", \"message\"}]}, line being null where there is none.

Examples:
  sloth-runner check site.sloth
  sloth-runner check workflows/*.sloth -v values.yaml --output json"
)]
pub(crate) struct CheckOptions {
    /// The workflow files.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Values in YAML, TOML or JSON; later files win.
    #[arg(short = 'v', long = "values", value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,
    /// One value: a.b=text, or a.b:=json.
    #[arg(long = "var", value_name = "KEY=VALUE")]
    pub(crate) vars: Vec<String>,
}

/// Write the beginnings of a workflow: the file, its policy and its values.
#[derive(Debug, Args)]
#[command(
    after_help = "Nothing that is there is overwritten. What was written runs as it is.

Examples:
  sloth-runner init backup
  sloth-runner init backup --dir ~/workflows"
)]
pub(crate) struct InitOptions {
    /// The workflow's name, and that of its folder.
    pub(crate) name: String,
    /// Where the folder is made.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
}

/// Show what workflow files can call.
#[derive(Debug, Args)]
#[command(
    after_help = "With --output json: {\"modules\": [{\"name\", \"aliases\", \"status\", \"purpose\", \"about\",
\"functions\": [{\"name\", \"kind\", \"call\", \"description\"}]}]}. A status is here, lua (Lua's own) or
later; a kind is function, method or value.

Examples:
  sloth-runner modules
  sloth-runner modules fs
  sloth-runner modules fs.write"
)]
pub(crate) struct ModulesOptions {
    /// A module such as fs, or a function such as fs.read.
    pub(crate) name: Option<String>,
    /// As the page of the guide.
    #[arg(long, hide = true, conflicts_with = "name")]
    pub(crate) markdown: bool,
}

/// Print what workflow files can call as annotations for editors.
#[derive(Debug, Args)]
#[command(
    after_help = "The annotations are those of LuaLS (lua-language-server). Editors find the file beside the
workflows, if they take .sloth files for Lua. With --output json: {\"text\"}.

Example:
  sloth-runner lua-types > .sloth-types.lua"
)]
pub(crate) struct LuaTypesOptions {}

/// Check a policy, or ask what it decides.
#[derive(Debug, Args)]
pub(crate) struct PolicyOptions {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say whether a policy is valid, and which of its lines give much away.
    #[command(after_help = "Example:\n  sloth-runner policy check policy.toml")]
    Check {
        /// The policy file.
        file: PathBuf,
    },
    /// Say which line decides a call.
    #[command(after_help = "Examples:
  sloth-runner policy explain policy.toml 'files.write /etc/motd'
  sloth-runner policy explain policy.toml 'process.run git pull --ff-only'")]
    Explain {
        /// The policy file.
        file: PathBuf,
        /// A capability and its subject, for example 'files.write /etc/motd'.
        call: String,
    },
    /// Hold a policy against calls and the answers it should give.
    #[command(
        after_help = "The cases are TOML, YAML or JSON: lists of calls under `allowed` and `denied`, and under `cases`
tables of `call`, `expect` (allowed or denied) and `because`, a part of the line or the
reason that should decide. Exit code 0 if all are as expected, else 1.

Example:
  sloth-runner policy test policy.toml cases.toml

  # cases.toml
  allowed = [\"files.read /etc/nginx/nginx.conf\"]
  denied = [\"files.write /etc/shadow\"]"
    )]
    Test {
        /// The policy file.
        file: PathBuf,
        /// The cases.
        cases: PathBuf,
    },
}

/// Keep passwords and keys that workflows use without seeing them.
#[derive(Debug, Args)]
#[command(
    after_help = "Values are sealed in secrets.sealed in the data folder, with a key of its own file. A workflow
names a secret, and the policy says where it may go: into a program's environment
([secrets] env), into a request's header (header), or to the workflow itself (reveal).

Examples:
  pass show db | sloth-runner secret set db-password
  sloth-runner secret list"
)]
pub(crate) struct SecretOptions {
    /// The key that the secrets are sealed with [default: secrets.key in the data folder].
    #[arg(
        long,
        global = true,
        env = "SLOTH_RUNNER_KEY_FILE",
        value_name = "FILE"
    )]
    pub(crate) key_file: Option<PathBuf>,
    /// Those of the master, which hands them to agents, instead of this machine's own.
    #[arg(long, global = true, conflicts_with = "key_file")]
    pub(crate) fleet: bool,
    #[command(subcommand)]
    pub(crate) command: SecretCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Set a secret's value, from standard input or asked for on the terminal.
    #[command(
        after_help = "A value is text of 8 bytes to 32 KiB. A single line loses its line end; several lines stay as
they are. The value is never an argument, which others could see. With --output json:
{\"name\", \"replaced\"}.

Examples:
  sloth-runner secret set db-password
  sloth-runner secret set tls-key < key.pem
  sloth-runner secret set db-password --fleet --agents role=db"
    )]
    Set {
        /// Letters, digits, `.`, `_` and `-`.
        name: String,
        /// With --fleet: the agents that it is handed to, by their names and the labels of the tokens that they
        /// joined with, such as 'name=db-01 or role=db'. What an agent says of itself does not count.
        #[arg(long, value_name = "SELECTOR", requires = "fleet")]
        agents: Option<String>,
    },
    /// Show which secrets there are, and never their values.
    #[command(
        after_help = "With --output json: {\"secrets\": [{\"name\", \"set\"}]}, and \"agents\" with --fleet.

Examples:
  sloth-runner secret list
  sloth-runner secret list --fleet"
    )]
    List,
    /// Remove a secret.
    #[command(after_help = "With --output json: {\"name\", \"removed\"}.

Example:\n  sloth-runner secret remove db-password")]
    Remove {
        /// Its name.
        name: String,
    },
    /// Seal all secrets with a fresh key.
    #[command(
        after_help = "A key that was named with --key-file, or that systemd handed over, is not replaced: the fresh one
is written to --new-key-file, which is to be named from then on. With --output json: {\"sealed\"},
how many secrets there are.

Examples:
  sloth-runner secret rotate-key
  sloth-runner secret rotate-key --key-file old.key --new-key-file new.key"
    )]
    RotateKey {
        /// Where the fresh key is written, instead of in the old one's place.
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
    },
}

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  sloth-runner completions bash > /etc/bash_completion.d/sloth-runner")]
pub(crate) struct CompletionsOptions {
    pub(crate) shell: clap_complete::Shell,
}

/// Print the manual page.
#[derive(Debug, Args)]
#[command(
    after_help = "With --dir a page for the program and for each of its subcommands is written, such as
sloth-runner.1 and sloth-runner-policy-check.1, over those that are there.

Examples:
  sloth-runner man run | man -l -
  sloth-runner man policy check | man -l -
  sloth-runner man --dir /usr/local/share/man/man1"
)]
pub(crate) struct ManOptions {
    /// The page of this subcommand instead of the whole program's.
    pub(crate) subcommand: Vec<String>,
    /// Write all pages into this folder, which must be there.
    #[arg(long, value_name = "DIR", conflicts_with = "subcommand")]
    pub(crate) dir: Option<PathBuf>,
}

/// Print the version.
#[derive(Debug, Args)]
pub(crate) struct VersionOptions {}
