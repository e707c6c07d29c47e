//! `secret`: this machine's secrets, and the one way for values to come in.

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, bail, ensure};
use console::Term;
use serde_json::json;
use sloth_fleet::store::node::secrets::{KeyPlace, Listed, Store};
use sloth_sandbox::Node;
use sloth_sandbox::ports::secrets::LONGEST;
use sloth_workflow::Untrusted;
use zeroize::Zeroizing;

use crate::command::{Output, SecretCommand, SecretOptions, Shared};
use crate::exit::Exit;
use crate::{place, remote, render};

/// Gives a node its secrets, and keeps their key out of every workflow's reach.
pub(crate) fn open(shared: &Shared, key: Option<&Path>, node: &mut Node) -> anyhow::Result<()> {
    let key = place::key(key)?;
    if let KeyPlace::File(path) | KeyPlace::Credential(path) = &key {
        node.protected.push(path.clone());
    }
    node.secrets = Arc::new(Store::in_folder(&place::data_folder(shared)?, key));
    Ok(())
}

pub(crate) fn secret(shared: &Shared, options: &SecretOptions) -> anyhow::Result<Exit> {
    if options.fleet {
        return remote::secrets::secrets(shared, &options.command);
    }
    let key = place::key(options.key_file.as_deref())?;
    let store = Store::in_folder(&place::data_folder(shared)?, key);
    let (told, json) = match &options.command {
        SecretCommand::Set { name, .. } => set(name, store.set(name, &value(name)?)?),
        SecretCommand::List => list(&store.list()?),
        SecretCommand::Remove { name } => removed(name, store.remove(name)?)?,
        SecretCommand::RotateKey { new_key_file } => {
            let to = new_key_file.as_ref().map(std::path::absolute).transpose();
            let to = to.context("failed to find the place of the new key")?;
            let count = store.rotate(to.as_deref())?;
            let noun = if count == 1 {
                "secret is"
            } else {
                "secrets are"
            };
            (
                format!("{count} {noun} sealed with a fresh key"),
                json!({ "sealed": count }),
            )
        }
    };
    Ok(tell(shared, &told, &json))
}

/// An answer for people, and for programs.
pub(crate) type Told = (String, serde_json::Value);

pub(crate) fn tell(shared: &Shared, told: &str, json: &serde_json::Value) -> Exit {
    match shared.output {
        Output::Json => render::line(&render::json_line(json)),
        Output::Text => render::line(told),
    }
    Exit::Succeeded
}

pub(crate) fn set(name: &str, replaced: bool) -> Told {
    let how = if replaced { "is replaced" } else { "is set" };
    (
        format!("secret {name} {how}"),
        json!({ "name": name, "replaced": replaced }),
    )
}

pub(crate) fn removed(name: &str, removed: bool) -> anyhow::Result<Told> {
    ensure!(
        removed,
        "there is no secret `{}`; sloth-runner secret list shows those there are",
        name.escape_debug()
    );
    Ok((
        format!("secret {name} is removed"),
        json!({ "name": name, "removed": true }),
    ))
}

pub(crate) fn list(secrets: &[Listed]) -> Told {
    let time = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
    let width = secrets
        .iter()
        .map(|secret| secret.name.len())
        .max()
        .unwrap_or(0);
    let lines: Vec<String> = secrets
        .iter()
        .map(|secret| {
            let agents = secret.agents.as_ref().map(|agents| {
                let agents = Untrusted::new(agents.as_str()).escaped();
                format!("  for {agents}")
            });
            let agents = agents.unwrap_or_default();
            format!("{:<width$}  set {}{agents}", secret.name, time(secret.set))
        })
        .collect();
    let told = if lines.is_empty() {
        "there are no secrets".to_owned()
    } else {
        lines.join("\n")
    };
    let json: Vec<_> = secrets
        .iter()
        .map(|secret| {
            let mut json = json!({ "name": secret.name, "set": time(secret.set) });
            if let Some(agents) = &secret.agents {
                json["agents"] = json!(agents);
            }
            json
        })
        .collect();
    (told, json!({ "secrets": json }))
}

/// The value from a terminal, where it is not shown, or else from standard input.
pub(crate) fn value(name: &str) -> anyhow::Result<Zeroizing<String>> {
    if std::io::stdin().is_terminal() {
        let terminal = Term::stderr();
        let ask = |question: &str| {
            render::note(question);
            let line = terminal.read_secure_line();
            line.map(Zeroizing::new)
                .context("failed to read from the terminal")
        };
        let value = ask(&format!("The value of {}:", name.escape_debug()))?;
        if *ask("The same once more:")? != *value {
            bail!("the two are not the same; nothing was set");
        }
        return Ok(value);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 3));
    std::io::stdin()
        .take(LONGEST as u64 + 3)
        .read_to_end(&mut bytes)
        .context("failed to read the value from standard input")?;
    let text = str::from_utf8(&bytes).ok();
    let text = text.context("the value is not UTF-8 text; encode it, for example in base64")?;
    Ok(Zeroizing::new(without_end(text).to_owned()))
}

/// A line without its end, which is none of a password's characters. A text of several lines, such as a
/// key, is complete only with it.
fn without_end(text: &str) -> &str {
    match text.strip_suffix('\n') {
        Some(line) if !line.contains('\n') => line.strip_suffix('\r').unwrap_or(line),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_line_loses_its_end_and_several_keep_it() {
        for (given, kept) in [
            ("password\n", "password"),
            ("password\r\n", "password"),
            (" pass word ", " pass word "),
            ("a\nb\n", "a\nb\n"),
            ("a\n\n", "a\n\n"),
            ("", ""),
        ] {
            assert_eq!(without_end(given), kept, "{given:?}");
        }
    }
}
