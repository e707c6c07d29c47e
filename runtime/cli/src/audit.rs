//! `audit`: what steps asked of this machine, and whether the record of it is as it was written.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use serde_json::{Value, json};
use sloth_fleet::store::node::audit::{self, Log, Wanted};
use sloth_workflow::Untrusted;

use crate::command::{AuditCommand, AuditOptions, Output, Shared};
use crate::exit::Exit;
use crate::{place, render};

pub(crate) fn audit(shared: &Shared, options: &AuditOptions) -> anyhow::Result<Exit> {
    match &options.command {
        AuditCommand::Verify {} => verify(shared),
        AuditCommand::Retire { older_than, to } => retire(shared, *older_than, to.as_deref()),
        AuditCommand::Show {
            task,
            capability,
            run,
            last,
        } => show(
            shared,
            &Wanted {
                task: task.clone(),
                capability: capability.clone(),
                run: run.clone(),
                last: *last,
            },
        ),
    }
}

/// Where the audit of this machine is kept.
pub(crate) fn folder(shared: &Shared) -> anyhow::Result<PathBuf> {
    Ok(place::data_folder(shared)?.join("audit"))
}

/// Opens it for what is about to be done.
pub(crate) fn open(shared: &Shared) -> anyhow::Result<Log> {
    let folder = folder(shared)?;
    Log::open(&folder).with_context(|| {
        format!(
            "failed to open the audit in {}; without it nothing may be changed",
            folder.display()
        )
    })
}

fn verify(shared: &Shared) -> anyhow::Result<Exit> {
    let folder = folder(shared)?;
    let found = audit::verify(&folder)
        .with_context(|| format!("failed to read the audit in {}", folder.display()))?;
    let json = shared.output == Output::Json;
    match found {
        Ok(verified) if json => render::line(&render::json_line(&json!({
            "valid": true,
            "files": verified.files,
            "records": verified.records,
            "torn": verified.torn,
            "retired": verified.retired.map(|retired| json!({
                "through": retired.through,
                "by": retired.by,
                "time": retired.time,
            })),
        }))),
        Ok(verified) => {
            let records = verified.records;
            render::line(&format!("{records} records, each as it was written"));
            if let Some(retired) = &verified.retired {
                render::line(&format!(
                    "records 1 to {} were retired by {} at {}",
                    retired.through,
                    Untrusted::new(retired.by.as_str()).escaped(),
                    Untrusted::new(retired.time.as_str()).escaped()
                ));
            }
            if verified.torn {
                render::line(
                    "the last line is torn: its writer was killed; the next run cuts it off",
                );
            }
        }
        Err(problem) => return Ok(told(&problem, json)),
    }
    Ok(Exit::Succeeded)
}

/// Names the first record that is not as it was written.
fn told(problem: &audit::Problem, json: bool) -> Exit {
    let (file, line) = (problem.file.display(), problem.line);
    if json {
        render::line(&render::json_line(&json!({
            "valid": false,
            "file": file.to_string(),
            "line": line,
            "problem": problem.what,
        })));
    } else {
        render::line(&format!("{file}:{line}: {}", problem.what));
    }
    Exit::Failed
}

fn retire(shared: &Shared, days: u32, to: Option<&Path>) -> anyhow::Result<Exit> {
    let folder = folder(shared)?;
    let age = Duration::from_secs(u64::from(days) * 86_400);
    let before = SystemTime::now()
        .checked_sub(age)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let json = shared.output == Output::Json;
    let gone = audit::retire(&folder, before, to).with_context(|| {
        format!(
            "failed to retire files of the audit in {}",
            folder.display()
        )
    })?;
    let gone = match gone {
        Ok(gone) => gone,
        Err(problem) => return Ok(told(&problem, json)),
    };
    if json {
        let files: Vec<_> = gone
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        render::line(&render::json_line(
            &json!({ "files": files, "records": gone.records }),
        ));
    } else if gone.files.is_empty() {
        render::line(&format!("no full file is older than {days} days"));
    } else {
        let (files, records) = (gone.files.len(), gone.records);
        render::line(&format!(
            "{files} files with {records} records were retired"
        ));
    }
    Ok(Exit::Succeeded)
}

fn show(shared: &Shared, wanted: &Wanted) -> anyhow::Result<Exit> {
    let folder = folder(shared)?;
    let records = audit::records(&folder, wanted)
        .with_context(|| format!("failed to read the audit in {}", folder.display()))?;
    for record in &records {
        if shared.output == Output::Json {
            render::line(&render::json_line(record));
        } else {
            render::line(&in_words(record));
        }
    }
    Ok(Exit::Succeeded)
}

fn in_words(record: &Value) -> String {
    let text = |key: &str| {
        let text = record[key].as_str().unwrap_or_default();
        Untrusted::new(text).escaped()
    };
    let words = [
        record["number"].to_string(),
        text("time"),
        text("run"),
        text("task"),
        text("kind"),
        text("capability"),
        text("outcome"),
        text("subject"),
        text("reason"),
    ];
    let said: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    said.join("  ")
}
