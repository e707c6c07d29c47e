//! `runs cancel`, `resume` and `retry`, of a master's runs.

use anyhow::Context;
use serde_json::json;
use sloth_fleet::wire::client::{self, problem};
use sloth_fleet::wire::generated::{CancelRequest, ResumeRequest};

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::place;
use crate::remote::watch;
use crate::render::{self, Events, Paint};

pub(super) async fn cancel(shared: &Shared, id: &str) -> anyhow::Result<()> {
    let mut fleet = client::connect(&place::client(shared)?).await?;
    let request = CancelRequest { run: id.to_owned() };
    let run = fleet.cancel(request).await.map_err(problem)?.into_inner();
    match shared.output {
        Output::Json => {
            let told = json!({ "id": run.id, "cancelling": run.cancelling });
            render::line(&render::json_line(&told));
        }
        Output::Text if run.cancelling => render::note("the run is being cancelled"),
        Output::Text => render::note("the run had ended already"),
    }
    Ok(())
}

/// Runs again what did not succeed; on the failed targets only, if that is wanted.
pub(super) async fn resume(
    shared: &Shared,
    id: &str,
    failed_targets: bool,
    detach: bool,
) -> anyhow::Result<Exit> {
    let mut fleet = client::connect(&place::client(shared)?).await?;
    let request = ResumeRequest {
        run: id.to_owned(),
        failed_targets,
    };
    let answer = fleet.resume(request).await.map_err(problem)?.into_inner();
    let run = answer.run.context("the master's answer names no run")?;
    let run = sloth_fleet::wire::run::read(run)?;
    if detach {
        match shared.output {
            Output::Text => render::line(&run.id),
            Output::Json => render::line(&render::json_line(&json!({ "run": run.id }))),
        }
        return Ok(Exit::Succeeded);
    }
    let paint = Paint::for_stdout(shared.color);
    let events = Events::print(shared.output, paint, true, run.targets.len());
    let watched = watch::watch(&mut fleet, &run.id, 0, |record| events.pass_on(record)).await;
    events.finish();
    Ok(watched?.exit(run.check))
}
