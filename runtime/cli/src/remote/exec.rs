//! `agent exec`: one program on an agent, as a step under that agent's policy.

use std::time::SystemTime;

use anyhow::Context;
use sloth_fleet::wire::client;
use sloth_fleet::wire::generated::SubmitRequest;
use sloth_workflow::scheduler::cancel;
use sloth_workflow::{Bundle, Outcome, Value};

use super::watch::{self, Watched};
use super::bundle;
use crate::command::{ExecOptions, Shared};
use crate::render::{self, Events, Paint};
use crate::{place, plan};

/// What an agent is given to run. There is no other way in.
const SCRIPT: &str = r#"
workflow.define("exec"):tasks({
  task("exec"):timeout(values.timeout):command(function()
    local ran = exec.run(values.command)
    return ran.success, ran.message, { exit_code = ran.exit_code }
  end),
})
"#;

/// Runs the program; gives its exit code, and 255 for what went wrong before or beside it.
pub(crate) fn exec(shared: &Shared, options: &ExecOptions) -> anyhow::Result<u8> {
    let node = plan::node(shared)?;
    plan::runtime()?.block_on(async {
        let (_canceller, cancel) = cancel::pair();
        let sandbox = plan::sandbox(node, sloth_policy::Policy::nothing().limits())?;
        let loaded = plan::load_bundle(&sandbox, bundle_of(options)?, cancel).await?;
        let mut fleet = client::connect(&place::client(shared)?).await?;
        let digest = bundle::upload(&mut fleet, &loaded.bundle, None).await?;
        let answer = fleet
            .submit(SubmitRequest {
                bundle: digest,
                plan: loaded.cbor.clone(),
                stack: "exec".to_owned(),
                workflow: "exec".to_owned(),
                targets: vec![options.name.clone()],
                ..SubmitRequest::default()
            })
            .await
            .map_err(client::problem)
            .context("failed to submit the program")?
            .into_inner();
        let run = answer.run.context("the master's answer names no run")?;
        let events = Events::output_only(shared.output, Paint::for_stdout(shared.color));
        let watched = watch::watch(&mut fleet, &run.id, 0, &events).await;
        events.finish();
        Ok(match watched? {
            Watched::Detached => 0,
            Watched::Ended(ended) => code(&ended.outputs, ended.outcome),
        })
    })
}

/// The program's exit code, out of what the run left.
fn code(outputs: &Value, outcome: Outcome) -> u8 {
    let code = ["tasks", "exec", "exit_code"]
        .iter()
        .try_fold(outputs, |value, key| value.get(key))
        .and_then(Value::as_integer)
        .and_then(|code| u8::try_from(code).ok());
    match code {
        Some(code) => code,
        None if outcome.succeeded() => 0,
        None => 255,
    }
}
