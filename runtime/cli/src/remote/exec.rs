//! `agent exec`: one program on an agent, as a step under that agent's policy.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use sloth_fleet::wire::client;
use sloth_fleet::wire::generated::SubmitRequest;
use sloth_workflow::scheduler::cancel;
use sloth_workflow::{Bundle, Event, Outcome, Record, Untrusted, Value};

use super::bundle;
use super::watch::{self, Watched};
use crate::agent::{AgentCommand, AgentOptions, ExecOptions, FleetCommand};
use crate::command::{Output, Shared};
use crate::{place, plan, render};

/// Of its stack and its workflow.
const NAME: &str = "exec";

/// What an agent is given to run. There is no other way in.
const SCRIPT: &str = r#"
workflow.define("exec"):tasks({
  task("exec"):timeout(values.timeout):command(function()
    local ran = exec.run(values.command)
    return ran.success, ran.message, { exit_code = ran.exit_code }
  end),
})
"#;

/// Exit code for what went wrong beside the program, as ssh has it.
const BESIDE: u8 = 255;

/// Runs the program; its exit code is the exit code.
pub(crate) fn exit(shared: &Shared, options: &AgentOptions) -> ExitCode {
    let AgentCommand::Fleet(FleetCommand::Exec(options)) = &options.command else {
        return BESIDE.into();
    };
    match exec(shared, options) {
        Ok(code) => code.into(),
        Err(error) => {
            render::error(&error);
            BESIDE.into()
        }
    }
}

fn exec(shared: &Shared, options: &ExecOptions) -> anyhow::Result<u8> {
    let node = plan::node(shared)?;
    plan::runtime()?.block_on(async {
        let (_canceller, cancel) = cancel::pair();
        let sandbox = plan::sandbox(node, sloth_policy::Policy::nothing().limits())?;
        let bundle = Arc::new(bundle_of(options)?);
        let plan = sandbox.plan(&bundle, cancel).await;
        let plan = plan.map_err(|failure| anyhow::anyhow!("{}", failure.message.escaped()))?;
        let mut fleet = client::connect(&place::client(shared)?).await?;
        let digest = bundle::upload(&mut fleet, &bundle, None).await?;
        let answer = fleet
            .submit(SubmitRequest {
                bundle: digest,
                plan: plan.cbor().to_vec(),
                stack: NAME.to_owned(),
                workflow: NAME.to_owned(),
                targets: vec![options.name.clone()],
                ..SubmitRequest::default()
            })
            .await
            .map_err(client::problem)
            .context("failed to submit the program")?
            .into_inner();
        let run = answer.run.context("the master's answer names no run")?;
        let run = sloth_fleet::wire::run::read(run)?;
        let mut code = BESIDE;
        let watched = watch::watch(&mut fleet, &run.id, 0, |record| {
            if let Some(ended) = told(shared, record) {
                code = ended;
            }
        });
        Ok(match watched.await? {
            Watched::Detached => 0,
            Watched::Ended(_) => code,
        })
    })
}

/// Shows what the program prints, and why it did not run; gives its exit code once it has ended.
fn told(shared: &Shared, record: Record) -> Option<u8> {
    if shared.output == Output::Json {
        render::line(&render::json_line(&record));
    }
    let text = shared.output == Output::Text;
    match record.event {
        Event::Output {
            stream,
            text: printed,
            ..
        } if text => {
            render::program(stream, &printed);
            None
        }
        Event::Denial { denial, .. } if text => {
            render::note(&format!(
                "denied: {}",
                Untrusted::new(denial.message).escaped()
            ));
            None
        }
        Event::StepFinished {
            outcome,
            message,
            outputs,
            ..
        } => {
            let code = outputs.get("exit_code").and_then(Value::as_integer);
            let code = code.and_then(|code| u8::try_from(code).ok());
            // A refusal was told when it came.
            if text && code.is_none() && !outcome.succeeded() && outcome != Outcome::Denied {
                render::note(&format!("{}: {}", outcome.word(), message.escaped_lines()));
            }
            Some(code.unwrap_or(if outcome.succeeded() { 0 } else { BESIDE }))
        }
        _ => None,
    }
}

fn bundle_of(options: &ExecOptions) -> anyhow::Result<Bundle> {
    let command = options.command.iter().map(|word| Value::Text(word.clone()));
    let timeout = i64::try_from(options.timeout.as_secs().max(1)).unwrap_or(i64::MAX);
    let values = [
        ("command".to_owned(), Value::List(command.collect())),
        ("timeout".to_owned(), Value::Integer(timeout)),
    ];
    let mut seed = [0; 32];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())
        .context("failed to draw a seed")?;
    Ok(Bundle {
        name: "exec.sloth".to_owned(),
        script: SCRIPT.into(),
        carried: BTreeMap::new(),
        values: Value::Map(values.into()),
        started: SystemTime::now(),
        seed,
    })
}
