//! `sloth-runner`: runs automation that nobody has to trust.
//!
//! Reading order: [`command`] (what can be asked) → [`run`] over [`telling`], [`runs`], [`plan`], [`check`], [`init`],
//! [`modules`], [`lua_types`], [`policy`] with [`cases`], [`state`], [`stack`], [`sandbox`], [`plugin`], [`secret`], [`audit`], [`sign`], [`agent`] with [`trust`], [`master`] with [`telemetry`], [`dev`] with [`temporary`],
//! [`token`], [`login`] with [`way`] (one file per subcommand), [`remote`] (what is asked of a master) → [`input`] (files into
//! bundles) → [`confirm`] (the question before a run) → [`library`] (what workflow files can call)
//! → [`render`] (the one place that prints) → [`exit`] (what the shell gets).

mod agent;
mod audit;
mod cases;
mod check;
mod command;
mod confirm;
mod dev;
mod exit;
mod folder;
mod init;
mod input;
mod ledger;
mod library;
mod lock;
mod login;
mod lua_types;
mod manual;
mod master;
mod modules;
mod place;
mod plan;
mod plugin;
mod policy;
mod remote;
mod render;
mod run;
mod runs;
mod sandbox;
mod secret;
mod shared;
mod show;
mod sign;
mod stack;
mod state;
mod telemetry;
mod telling;
mod temporary;
mod token;
mod trust;
mod way;

use std::process::ExitCode;

use clap::Parser;

use crate::command::{Arguments, Command, LogLevel};
use crate::exit::Exit;

fn main() -> ExitCode {
    // A child's helper is this very program: it must start before any thread exists.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == "__confine")
    {
        return sloth_sandbox::confine::helper_main();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::usage(&error),
    };
    let level = arguments.log_level.unwrap_or(match arguments.command {
        Command::Agent(_) | Command::Master(_) => LogLevel::Info,
        _ => LogLevel::Warn,
    });
    let ledger = match arguments.command {
        Command::Master(_) => ledger::Ledger::open(&arguments.shared).map(Some),
        _ => Ok(None),
    };
    let ledger = match ledger {
        Ok(ledger) => ledger,
        Err(error) => {
            render::error(&error);
            return Exit::Failed.into();
        }
    };
    if let Err(error) = render::start_log(level, arguments.log_format, ledger) {
        render::error(&error);
        return Exit::Usage.into();
    }
    let answered = match arguments.command {
        Command::Run(options) if options.agents.any() => {
            remote::delegate::delegate(&arguments.shared, &options)
        }
        Command::Run(options) => run::run(&arguments.shared, options),
        Command::Runs(options) => runs::runs(&arguments.shared, &options),
        Command::Plan(options) if options.quiet => check::plan(&arguments.shared, &options),
        Command::Plan(options) => plan::plan(&arguments.shared, &options),
        Command::Check(options) => check::check(&arguments.shared, &options),
        Command::Init(options) => init::init(&arguments.shared, &options),
        Command::Modules(options) => modules::modules(&arguments.shared, &options),
        Command::LuaTypes(options) => Ok(lua_types::lua_types(&arguments.shared, &options)),
        Command::Policy(options) => policy::policy(&arguments.shared, &options),
        Command::State(options) => state::state(&arguments.shared, &options),
        Command::Stack(options) => stack::stack(&arguments.shared, &options),
        Command::Secret(options) => secret::secret(&arguments.shared, &options),
        Command::Audit(options) => audit::audit(&arguments.shared, &options),
        Command::Master(options) => master::master(&arguments.shared, &options),
        Command::Agent(options) if options.is_exec() => {
            return remote::exec::exit(&arguments.shared, &options);
        }
        Command::Dev(options) => dev::dev(&arguments.shared, &options),
        Command::Agent(options) => agent::agent(&arguments.shared, &options),
        Command::Plugin(options) => plugin::plugin(&arguments.shared, &options),
        Command::Sign(options) => sign::sign(&arguments.shared, &options),
        Command::Token(options) => token::token(&arguments.shared, &options),
        Command::Login(options) => login::login(&arguments.shared, &options),
        Command::Sandbox(options) => sandbox::sandbox(&arguments.shared, &options),
        Command::Completions(options) => Ok(manual::completions(&options)),
        Command::Man(options) => manual::man(&options),
        Command::Version(options) => Ok(manual::version(&options)),
    };
    match answered {
        Ok(exit) => exit.into(),
        Err(error) => {
            render::error(&error);
            let of_master = error.downcast_ref().map(Exit::of_master);
            of_master.unwrap_or(Exit::Usage).into()
        }
    }
}
