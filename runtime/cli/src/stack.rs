//! `stack`: what the runs of a stack left on this node.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::json;
use sloth_fleet::store::node::Database;
use sloth_sandbox::ports::Problem;
use sloth_sandbox::ports::stacks::{Outputs, Stacks as _};
use sloth_workflow::event::timestamp;
use sloth_workflow::{Untrusted, Value};

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::state::settled;
use crate::{place, render, runs};

/// Keys of outputs that are resources, as the library's stack module writes them.
const RESOURCE: &str = "resource:";

/// Show and delete what the runs of a stack left on this node.
#[derive(Debug, Args)]
#[command(
    after_help = "A stack is the name that runs are started under: sloth-runner run STACK -f FILE. What tasks
set with stack.set_output stays there for later runs of the same name.

Exit codes: 0 done, 1 there is no such stack or the store cannot be used, 2 wrong usage.

Examples:
  sloth-runner stack list
  sloth-runner stack show production --output json
  sloth-runner stack history production"
)]
pub(crate) struct StackOptions {
    #[command(subcommand)]
    command: StackCommand,
}

#[derive(Debug, Subcommand)]
enum StackCommand {
    /// List the stacks that have outputs or resources.
    #[command(
        after_help = "With --output json: {\"stacks\": [{\"name\", \"outputs\", \"changed\"}]}, outputs being how many there are.

Example:\n  sloth-runner stack list"
    )]
    List,
    /// Show a stack's outputs and resources.
    #[command(
        after_help = "With --output json: {\"name\", \"outputs\": {…}, \"resources\": {…}}.

Example:\n  sloth-runner stack show production"
    )]
    Show { name: String },
    /// List the runs of a stack, the latest first; those of a master with --master.
    #[command(after_help = "With --output json: what sloth-runner runs list gives.

Examples:
  sloth-runner stack history production
  sloth-runner stack history production --master fleet.example.com")]
    History {
        name: String,
        /// At most so many, up to 1000.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u16,
    },
    /// Show a stack's outputs as JSON: those that are kept here, or with --master those of the last run of the
    /// stack that succeeded there.
    #[command(after_help = "Examples:
  sloth-runner stack outputs production
  sloth-runner stack outputs production url
  sloth-runner stack outputs production --master fleet.example.com")]
    Outputs {
        name: String,
        /// Only this output.
        #[arg(value_name = "OUTPUT")]
        key: Option<String>,
    },
    /// Delete all that a stack left, or one output of it. What it made elsewhere stays as it is.
    #[command(after_help = "With --output json: {\"deleted\": number}.

Examples:
  sloth-runner stack delete production
  sloth-runner stack delete production url")]
    Delete {
        name: String,
        /// Only this output.
        #[arg(value_name = "OUTPUT")]
        key: Option<String>,
    },
}

pub(crate) fn stack(shared: &Shared, options: &StackOptions) -> anyhow::Result<Exit> {
    let database = Database::beneath(&place::data_folder(shared)?);
    Ok(settled(match &options.command {
        StackCommand::History { name, limit } => return runs::history(shared, name, *limit),
        StackCommand::Outputs { name, key } if shared.way.master.is_some() => {
            let outputs = runs::outputs(shared, name)?;
            written(name, outputs.as_map(), key.as_deref())
        }
        StackCommand::Outputs { name, key } => {
            known(&database, name).and_then(|held| written(name, Some(&held), key.as_deref()))
        }
        StackCommand::List => list(shared, &database),
        StackCommand::Show { name } => show(shared, &database, name),
        StackCommand::Delete { name, key } => delete(shared, &database, name, key.as_deref()),
    }))
}

fn list(shared: &Shared, database: &Database) -> Result<(), Problem> {
    let stacks = database.stacks()?;
    if shared.output == Output::Json {
        let stacks: Vec<_> = stacks
            .iter()
            .map(|stack| {
                json!({ "name": stack.name, "outputs": stack.outputs, "changed": timestamp(stack.changed) })
            })
            .collect();
        render::line(&render::json_line(&json!({ "stacks": stacks })));
        return Ok(());
    }
    for stack in stacks {
        render::line(&format!(
            "{}  {} {}  {}",
            Untrusted::new(stack.name).escaped(),
            stack.outputs,
            if stack.outputs == 1 {
                "output"
            } else {
                "outputs"
            },
            timestamp(stack.changed)
        ));
    }
    Ok(())
}

fn show(shared: &Shared, database: &Database, name: &str) -> Result<(), Problem> {
    let held = known(database, name)?;
    let mut resources = BTreeMap::new();
    let mut outputs = BTreeMap::new();
    for (key, value) in &held {
        match key.strip_prefix(RESOURCE) {
            Some(resource) => drop(resources.insert(resource, value)),
            None => drop(outputs.insert(key.as_str(), value)),
        }
    }
    if shared.output == Output::Json {
        render::line(&render::json_line(
            &json!({ "name": name, "outputs": outputs, "resources": resources }),
        ));
        return Ok(());
    }
    for (key, value) in outputs {
        let value = render::json_line(value);
        render::line(&Untrusted::new(format!("{key} = {value}")).escaped());
    }
    for (id, resource) in resources {
        let state = resource.get("state").and_then(Value::as_text);
        let line = format!("resource {id}: {}", state.unwrap_or("unknown"));
        render::line(&Untrusted::new(line).escaped());
    }
    Ok(())
}

/// Outputs as JSON, or one of them. Resources are none.
fn written(
    name: &str,
    outputs: Option<&BTreeMap<String, Value>>,
    key: Option<&str>,
) -> Result<(), Problem> {
    let outputs = outputs.ok_or_else(|| missing(name))?;
    let json = match key {
        None => {
            let own = outputs.iter().filter(|(key, _)| !key.starts_with(RESOURCE));
            render::json_line(&own.collect::<BTreeMap<_, _>>())
        }
        Some(key) => render::json_line(outputs.get(key).ok_or_else(|| no_output(name, key))?),
    };
    render::line(&json);
    Ok(())
}

fn delete(
    shared: &Shared,
    database: &Database,
    name: &str,
    key: Option<&str>,
) -> Result<(), Problem> {
    let deleted = match key {
        None => {
            let deleted = database.delete_stack(name)?;
            if deleted == 0 {
                return Err(missing(name));
            }
            deleted
        }
        Some(key) => {
            if !known(database, name)?.contains_key(key) {
                return Err(no_output(name, key));
            }
            database.keep(name, &Outputs::from([(key.to_owned(), Value::Null)]))?;
            1
        }
    };
    if shared.output == Output::Json {
        render::line(&render::json_line(&json!({ "deleted": deleted })));
    }
    Ok(())
}

/// The outputs of a stack that has some.
fn known(database: &Database, name: &str) -> Result<Outputs, Problem> {
    let held = database.outputs(name)?;
    if held.is_empty() {
        return Err(missing(name));
    }
    Ok(held)
}

fn no_output(name: &str, key: &str) -> Problem {
    let (name, key) = (
        Untrusted::new(name).escaped(),
        Untrusted::new(key).escaped(),
    );
    Problem(format!(
        "the stack `{name}` has no output `{key}`; sloth-runner stack show shows those there are"
    ))
}

fn missing(name: &str) -> Problem {
    let name = Untrusted::new(name).escaped();
    Problem(format!(
        "there is no stack `{name}`; sloth-runner stack list shows those that left something"
    ))
}
