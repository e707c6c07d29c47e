//! `login`: a join token becomes a credential.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use console::Term;
use serde_json::json;
use sloth_fleet::pki::{Kind, Name, Token};
use sloth_fleet::wire::client::Error;
use sloth_fleet::wire::client::enrolment::enrol;
use sloth_workflow::event::timestamp;
use zeroize::Zeroizing;

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::{input, place, plan, render};

/// More than any token.
const LONGEST: u64 = 4096;

/// Spend a join token for a credential of your own.
#[derive(Debug, Args)]
#[command(
    after_help = "The token says whom to trust: it is sent to nobody but the master that it was made on. The key of
the credential is drawn here and never leaves this machine. The file is --credential, else
credential in $XDG_CONFIG_HOME/sloth-runner, and only you can read it. With --output json:
{\"name\", \"role\", \"expires\", \"file\"}.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the master refuses, 4 it is not reached.

Examples:
  sloth-runner login --master fleet.example.com:50053 --name ana
  sloth-runner login --master fleet.example.com:50053 --name ana --token-file ana.token"
)]
pub(crate) struct LoginOptions {
    /// The name to be known by; of each machine that you log in on, another, such as ana@laptop.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The token; others on this machine can see it among the arguments, so prefer a file.
    #[arg(
        long,
        env = "SLOTH_RUNNER_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,
    /// The file that holds the token; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Replace a credential that is there and good still.
    #[arg(long)]
    replace: bool,
}

pub(crate) fn login(shared: &Shared, options: &LoginOptions) -> anyhow::Result<Exit> {
    ensure!(
        !shared.way.insecure,
        "a master that runs with --insecure knows nobody, and there is nothing to log in to; leave --insecure out"
    );
    let address = place::master(shared)?;
    let file = match &shared.way.credential {
        Some(file) => Some(std::path::absolute(file)?),
        None => place::own_credential(),
    };
    let file = file.context("there is no home folder; name a file with --credential")?;
    // Before the token is spent: afterwards it would be too late.
    if input::is_there(&file) && !options.replace {
        anyhow::bail!(
            "there is a credential already: {}; --replace replaces it, and --credential names another file",
            file.display()
        );
    }
    input::make_folder_of(&file)?;
    let name = name(options.name.as_deref())?;
    let token = Token::parse(&secret(options)?, Kind::Join)?;
    let spent = plan::runtime()?.block_on(async {
        let credential = enrol(&address, &token, &name).await?;
        credential.save(&file)?;
        Ok::<_, Error>(credential)
    });
    let credential = match spent {
        Ok(credential) => credential,
        Err(error) => {
            let exit = Exit::of_master(&error);
            render::error(&error.into());
            return Ok(exit);
        }
    };
    let identity = credential.identity();
    let (name, role) = (&identity.subject.name, identity.subject.role);
    match shared.output {
        Output::Json => render::line(&render::json_line(&json!({
            "name": name.as_str(),
            "role": role.as_str(),
            "expires": timestamp(identity.expires),
            "file": file.display().to_string(),
        }))),
        Output::Text => {
            render::line(&format!(
                "{name} is logged in as {role} until {}",
                humantime::format_rfc3339_seconds(identity.expires)
            ));
            if shared.way.credential.is_none() && shared.way.master.is_some() {
                render::note(&format!(
                    "set SLOTH_RUNNER_MASTER_ADDR={address}, and commands find this master without --master"
                ));
            }
        }
    }
    Ok(Exit::Succeeded)
}

/// The name that was given, else the user's.
fn name(given: Option<&str>) -> anyhow::Result<Name> {
    if let Some(name) = given {
        return Ok(name.parse()?);
    }
    let user = place::user().context("the name of this user is not known; give one with --name")?;
    user.parse()
        .context("the name of this user cannot be used; give another with --name")
}

/// The token from where it was said to be, else from the terminal, where it is not shown, or standard input.
fn secret(options: &LoginOptions) -> anyhow::Result<Zeroizing<String>> {
    if let Some(token) = &options.token {
        return Ok(Zeroizing::new(token.clone()));
    }
    let bytes = match &options.token_file {
        Some(file) if file.as_os_str() != "-" => input::read(file, LONGEST)?,
        None if std::io::stdin().is_terminal() => {
            render::note("The join token:");
            let line = Term::stderr().read_secure_line();
            let line = line.context("failed to read from the terminal")?;
            return Ok(Zeroizing::new(line));
        }
        _ => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .take(LONGEST)
                .read_to_end(&mut bytes)
                .context("failed to read the token from standard input")?;
            bytes
        }
    };
    let bytes = Zeroizing::new(bytes);
    let text = str::from_utf8(&bytes).ok();
    let text = text.context("the token is not text; copy it whole")?;
    Ok(Zeroizing::new(text.to_owned()))
}
