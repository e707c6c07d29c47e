//! `token`: how machines and people are let into the fleet.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value as Json, json};
use sloth_fleet::wire::client::{self, Error, Fleet};
use sloth_fleet::wire::generated::{
    self, CreateTokenRequest, ListTokensRequest, RevokeTokenRequest, TokenInfo,
};
use sloth_fleet::wire::role;
use sloth_policy::parse_duration;
use sloth_workflow::Untrusted;
use sloth_workflow::event::timestamp;

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::{place, plan, render};

/// Let machines and people join the fleet.
#[derive(Debug, Args)]
#[command(
    after_help = "A join token is spent once for a certificate: an agent brings it with agent start, a person with
login. An API key is sent with each call instead. Both name the master's authority, so that they
are given to nobody else, and both are shown once, when they are made.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the master refuses, 4 it is not reached.

Examples:
  sloth-runner token create --role agent --labels role=web
  sloth-runner token create --role operator --scope 'role=web and not region=eu'
  sloth-runner token list"
)]
pub(crate) struct TokenOptions {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a join token, or an API key.
    #[command(
        after_help = "Standard output gets the token and nothing else. With --output json: {\"token\", \"id\", \"role\",
\"expires\", \"uses_left\", \"labels\", \"scope\", \"key\", \"made_by\"}, where uses_left is null for a key.

Examples:
  sloth-runner token create --role agent --ttl 10m > web-01.token
  sloth-runner token create --role agent --uses 20 --labels role=web,region=eu
  sloth-runner token create --role viewer --key --ttl 90d"
    )]
    Create(CreateOptions),
    /// List what can still be used.
    #[command(
        after_help = "The tokens themselves are not kept, and cannot be shown. With --output json: {\"tokens\": [{\"id\",
\"role\", \"expires\", \"uses_left\", \"labels\", \"scope\", \"key\", \"made_by\"}]}.

Example:
  sloth-runner token list"
    )]
    List,
    /// Revoke a token or key. What goes on in the name of a key ends at once.
    #[command(
        after_help = "Certificates that a token was spent for stay; agent remove ends those of an agent. With
--output json: {\"id\", \"revoked\"}.

Example:
  sloth-runner token revoke 5f0c1a2b3c4d"
    )]
    Revoke {
        /// As token list shows it.
        id: String,
    },
}

#[derive(Debug, Args)]
struct CreateOptions {
    /// What its holder becomes.
    #[arg(long)]
    role: Role,
    /// How long it can be used, such as 10m, 1h or 30d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    ttl: Duration,
    /// How often it can be spent [default: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// Labels of the agents that join with it.
    #[arg(long, value_name = "KEY=VALUE,…", value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,
    /// Which agents its holder reaches; without, all.
    #[arg(long, value_name = "SELECTOR")]
    scope: Option<String>,
    /// Make an API key, to be sent with each call.
    #[arg(long, conflicts_with = "uses")]
    key: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Takes work.
    Agent,
    /// Runs, and reads.
    Operator,
    /// Reads.
    Viewer,
}

pub(crate) fn token(shared: &Shared, options: &TokenOptions) -> anyhow::Result<Exit> {
    let settings = place::client(shared)?;
    let asked = match &options.command {
        TokenCommand::Create(options) => Asked::Create(request(options)?),
        TokenCommand::List => Asked::List,
        TokenCommand::Revoke { id } => Asked::Revoke(id.clone()),
    };
    let answered = plan::runtime()?.block_on(async {
        let mut fleet = client::connect(&settings).await?;
        asked.of(&mut fleet).await
    });
    let (told, json) = match answered {
        Ok(answer) => answer,
        Err(error) => {
            let exit = Exit::of_master(&error);
            render::error(&error.into());
            return Ok(exit);
        }
    };
    match shared.output {
        Output::Json => render::line(&render::json_line(&json)),
        Output::Text => render::line(&told),
    }
    Ok(Exit::Succeeded)
}

enum Asked {
    Create(CreateTokenRequest),
    List,
    Revoke(String),
}

impl Asked {
    async fn of(self, fleet: &mut Fleet) -> Result<(String, Json), Error> {
        match self {
            Self::Create(request) => {
                let made = fleet.create_token(request).await?.into_inner();
                let info = made.info.unwrap_or_default();
                let mut json = json!({ "token": made.token });
                if let (Json::Object(whole), Json::Object(info)) = (&mut json, object(&info)) {
                    whole.extend(info);
                }
                // What a master says is text of others, also where a token is meant to be.
                Ok((Untrusted::new(made.token).escaped(), json))
            }
            Self::List => {
                let tokens = fleet
                    .list_tokens(ListTokensRequest {})
                    .await?
                    .into_inner()
                    .tokens;
                let json: Vec<_> = tokens.iter().map(object).collect();
                Ok((table(&tokens), json!({ "tokens": json })))
            }
            Self::Revoke(id) => {
                fleet
                    .revoke_token(RevokeTokenRequest { id: id.clone() })
                    .await?;
                let told = format!("{} is revoked", Untrusted::new(id.clone()).escaped());
                Ok((told, json!({ "id": id, "revoked": true })))
            }
        }
    }
}

fn request(options: &CreateOptions) -> anyhow::Result<CreateTokenRequest> {
    let mut labels = HashMap::new();
    for (key, value) in &options.labels {
        let twice = labels.insert(key.clone(), value.clone()).is_some();
        anyhow::ensure!(!twice, "the label `{}` is given twice", key.escape_debug());
    }
    let role = match options.role {
        Role::Agent => generated::Role::Agent,
        Role::Operator => generated::Role::Operator,
        Role::Viewer => generated::Role::Viewer,
    };
    anyhow::ensure!(
        !options.ttl.is_zero(),
        "a token that is good for no time at all is good for nothing; give it some with --ttl"
    );
    Ok(CreateTokenRequest {
        role: role.into(),
        // Part of a second is one, since none would be the master's own time.
        ttl_s: options.ttl.as_secs().max(1),
        uses: options.uses.unwrap_or(0),
        labels,
        scope: options.scope.clone().unwrap_or_default(),
        key: options.key,
    })
}

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or_else(|| "a label is KEY=VALUE".to_owned())?;
    Ok((key.to_owned(), value.to_owned()))
}

fn object(token: &TokenInfo) -> Json {
    let mut labels: Vec<_> = token.labels.iter().collect();
    labels.sort();
    let labels: serde_json::Map<_, _> = labels
        .into_iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    json!({
        "id": token.id,
        "role": role_of(token),
        "expires": expires(token).map(timestamp),
        "uses_left": (!token.key).then_some(token.uses_left),
        "labels": labels,
        "scope": token.scope,
        "key": token.key,
        "made_by": token.made_by,
    })
}

fn role_of(token: &TokenInfo) -> &'static str {
    role::from_wire(token.role()).map_or("unknown", sloth_fleet::pki::Role::as_str)
}

fn expires(token: &TokenInfo) -> Option<SystemTime> {
    token.expires.and_then(|moment| moment.try_into().ok())
}

/// One line each, and below it what else there is to say.
fn table(tokens: &[TokenInfo]) -> String {
    if tokens.is_empty() {
        return "there are no tokens".to_owned();
    }
    let mut lines = vec![format!(
        "{:<12}  {:<8}  {:<5}  {:>4}  EXPIRES",
        "ID", "ROLE", "KIND", "USES"
    )];
    for token in tokens {
        let expires = expires(token).map_or_else(
            || "unknown".to_owned(),
            |moment| humantime::format_rfc3339_seconds(moment).to_string(),
        );
        let (kind, uses) = if token.key {
            ("key", "-".to_owned())
        } else {
            ("join", token.uses_left.to_string())
        };
        let id = Untrusted::new(token.id.clone()).escaped();
        lines.push(format!(
            "{id:<12}  {:<8}  {kind:<5}  {uses:>4}  {expires}",
            role_of(token)
        ));
        let mut labels: Vec<_> = token
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        labels.sort();
        for (what, text) in [("labels", labels.join(",")), ("scope", token.scope.clone())] {
            if !text.is_empty() {
                lines.push(format!("  {what} {}", Untrusted::new(text).escaped()));
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_list_fits_eighty_columns_and_shows_what_others_wrote_as_text() {
        let expires = UNIX_EPOCH + Duration::from_hours(24);
        let token = TokenInfo {
            id: "5f0c1a2b3c4d".to_owned(),
            role: generated::Role::Operator.into(),
            expires: Some(expires.into()),
            uses_left: 10_000,
            labels: HashMap::new(),
            scope: "role=\u{1b}[31mweb".to_owned(),
            key: false,
            made_by: "admin".to_owned(),
        };
        let key = TokenInfo {
            key: true,
            scope: String::new(),
            ..token.clone()
        };
        let odd = TokenInfo {
            role: 77,
            expires: None,
            ..key.clone()
        };
        let told = table(&[token.clone(), key, odd]);
        assert_eq!(
            told,
            "ID            ROLE      KIND   USES  EXPIRES\n\
             5f0c1a2b3c4d  operator  join   10000  1970-01-02T00:00:00Z\n  \
             scope role=\\u{1b}[31mweb\n\
             5f0c1a2b3c4d  operator  key       -  1970-01-02T00:00:00Z\n\
             5f0c1a2b3c4d  unknown   key       -  unknown"
        );
        assert!(told.lines().all(|line| line.len() <= 80));
        assert_eq!(object(&token)["uses_left"], 10_000);
        assert_eq!(table(&[]), "there are no tokens");
    }
}
