//! `check`: whether workflow files can be loaded, and what is wrong with those that cannot.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use sloth_policy::Policy;
use sloth_sandbox::{Failure, Sandbox};
use sloth_workflow::scheduler::cancel;
use sloth_workflow::{Cancel, Untrusted};

use crate::command::{CheckOptions, Output, PlanOptions, Shared};
use crate::exit::Exit;
use crate::{input, plan, render};

pub(crate) fn check(shared: &Shared, options: &CheckOptions) -> anyhow::Result<Exit> {
    files(shared, &options.files, &options.values, &options.vars)
}

/// `plan --quiet`.
pub(crate) fn plan(shared: &Shared, options: &PlanOptions) -> anyhow::Result<Exit> {
    files(
        shared,
        std::slice::from_ref(&options.file),
        &options.values,
        &options.vars,
    )
}

/// What is wrong with a file.
struct Problem {
    file: String,
    line: Option<u32>,
    message: String,
}

fn files(
    shared: &Shared,
    files: &[PathBuf],
    values: &[PathBuf],
    settings: &[String],
) -> anyhow::Result<Exit> {
    // What is wrong with the values is no file's fault, and is said once.
    input::all_values(values, settings)?;
    let node = plan::node(shared)?;
    let problems = plan::runtime()?.block_on(async {
        let (canceller, cancel) = cancel::pair();
        plan::cancel_on_signals(canceller);
        let sandbox = plan::sandbox(node, Policy::nothing().limits())?;
        let mut problems = Vec::new();
        for file in files {
            let found = one(&sandbox, file, values, settings, cancel.clone()).await;
            if cancel.is_given() {
                return Ok(None);
            }
            problems.extend(found);
        }
        anyhow::Ok(Some(problems))
    })?;
    let Some(problems) = problems else {
        return Ok(Exit::Cancelled);
    };
    show(shared.output, &problems);
    Ok(if problems.is_empty() {
        Exit::Succeeded
    } else {
        Exit::Usage
    })
}

async fn one(
    sandbox: &Sandbox,
    file: &Path,
    values: &[PathBuf],
    settings: &[String],
    cancel: Cancel,
) -> Option<Problem> {
    let problem = |line, message| Problem {
        file: file.display().to_string(),
        line,
        message,
    };
    let bundle = match input::bundle(file, values, settings) {
        Ok(bundle) => bundle,
        Err(error) => return Some(problem(None, format!("{error:#}"))),
    };
    let name = bundle.name.clone();
    let failure = match plan::try_load(sandbox, bundle, file, cancel).await {
        Ok(Ok(_)) => return None,
        Ok(Err(failure)) => failure,
        Err(error) => return Some(problem(None, format!("{error:#}"))),
    };
    let (place, line) = place_of(&failure);
    let mut problem = problem(line, failure.message.raw().to_owned());
    // What it imports lies beneath its folder.
    if let Some(place) = place.filter(|place| *place != name) {
        problem.file = file.with_file_name(place).display().to_string();
    }
    Some(problem)
}

/// The file and the line of a failure's `file:line`.
fn place_of(failure: &Failure) -> (Option<&str>, Option<u32>) {
    let Some(location) = failure.location.as_ref().map(Untrusted::raw) else {
        return (None, None);
    };
    match location.rsplit_once(':') {
        Some((file, line)) if line.parse::<u32>().is_ok() => (Some(file), line.parse().ok()),
        _ => (Some(location), None),
    }
}

fn show(output: Output, problems: &[Problem]) {
    if output == Output::Json {
        let listed: Vec<Json> = problems
            .iter()
            .map(|p| json!({ "file": p.file, "line": p.line, "message": p.message }))
            .collect();
        render::line(&render::json_line(
            &json!({ "valid": problems.is_empty(), "problems": listed }),
        ));
        return;
    }
    for problem in problems {
        let file = Untrusted::new(problem.file.as_str()).escaped();
        let line = problem
            .line
            .map_or_else(String::new, |line| format!(":{line}"));
        // A message of several lines stays one problem for who reads line by line.
        let message = Untrusted::new(problem.message.as_str()).escaped_lines();
        render::note(&format!(
            "{file}{line}: {}",
            message.trim_end().replace('\n', "\n  ")
        ));
    }
}
