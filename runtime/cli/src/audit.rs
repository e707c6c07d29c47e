//! `audit`: what steps asked of this machine, and whether the record of it is as it was written.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sloth_fleet::store::node::audit::{self, Log, Wanted};
use sloth_sandbox::ports::audit::Head;
use sloth_workflow::Untrusted;

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::{place, remote, render};

/// Show what steps did on this machine, or verify the record of it.
#[derive(Debug, Args)]
pub(crate) struct AuditOptions {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Say whether every record is as it was written, or which is the first that is not.
    #[command(
        after_help = "Exit code 0 if nothing was changed, taken out, moved or added, else 1, and the first such
record is named as FILE:LINE. With --output json: {\"valid\", \"files\", \"records\", \"torn\", \"retired\"} or
{\"valid\", \"file\", \"line\", \"problem\"}.

Who owns this machine can write the whole record anew, or cut off its end. An agent tells its master with each step where
its record ends: with --against-master those places are asked for and looked up, as the agent of this data folder, or by
the operator's right for the one that --agent names. The answer then has \"known-to-master\", how many were found.

Examples:
  sloth-runner audit verify
  sloth-runner audit verify --data-dir /var/lib/sloth-runner --against-master --master fleet.example.com:50053"
    )]
    Verify {
        /// Look up what an agent's master knows of it, too.
        #[arg(long)]
        against_master: bool,
        /// The agent that this audit is of [default: that of the data folder].
        #[arg(long, value_name = "NAME", requires = "against_master")]
        agent: Option<String>,
    },
    /// Take old full files out, and put on record who did so and up to where.
    #[command(
        after_help = "The rest of the audit still verifies, and `audit verify` says what was retired. An audit that
does not verify is left as it is. The file being written stays.

With --accept-damage an audit that does not verify is set aside, in a folder damaged-TIME beside it, and
a chain begins that goes on from its head: the first record says what was wrong, who accepted it and where
it is kept, and so does `audit verify`. With --output json: {\"damage\": null} or {\"damage\": {\"file\",
\"line\", \"what\", \"kept\"}}.

Examples:
  sloth-runner audit retire --older-than 90 --to /srv/audit
  sloth-runner audit retire --older-than 365
  sloth-runner audit retire --accept-damage"
    )]
    Retire {
        /// Files whose records are all older than so many days.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        #[arg(required_unless_present = "accept_damage")]
        older_than: Option<u32>,
        /// Keep them in this folder. They are removed for good otherwise.
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
        /// Set an audit aside that does not verify, and begin a new chain that says so.
        #[arg(long, conflicts_with_all = ["older_than", "to"])]
        accept_damage: bool,
    },
    /// Show records, oldest first.
    #[command(after_help = "Examples:
  sloth-runner audit show --last 20
  sloth-runner audit show --task deploy --capability files --output json")]
    Show {
        /// Of this task.
        #[arg(long, value_name = "NAME")]
        task: Option<String>,
        /// Of this capability (files.write) or noun (files).
        #[arg(long, value_name = "NAME")]
        capability: Option<String>,
        /// Of this run.
        #[arg(long, value_name = "ID")]
        run: Option<String>,
        /// At most so many, the newest; 0 is all.
        #[arg(long, value_name = "N", default_value_t = 0)]
        last: usize,
    },
}

pub(crate) fn audit(shared: &Shared, options: &AuditOptions) -> anyhow::Result<Exit> {
    match &options.command {
        AuditCommand::Verify {
            against_master,
            agent,
        } => {
            let known = against_master.then(|| remote::heads::heads(shared, agent.as_deref()));
            verify(shared, known.transpose()?.as_deref())
        }
        AuditCommand::Retire { older_than, to, .. } => match older_than {
            Some(days) => retire(shared, *days, to.as_deref()),
            None => accept_damage(shared),
        },
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

/// Verifies it, also against what its master knows.
fn verify(shared: &Shared, known: Option<&[Head]>) -> anyhow::Result<Exit> {
    let folder = folder(shared)?;
    let found = audit::verify_against(&folder, known.unwrap_or_default())
        .with_context(|| format!("failed to read the audit in {}", folder.display()))?;
    let json = shared.output == Output::Json;
    match found {
        Ok(verified) if json => {
            let mut told = json!({
                "valid": true,
                "files": verified.files,
                "records": verified.records,
                "torn": verified.torn,
                "retired": verified.retired.map(|retired| json!({
                    "through": retired.through,
                    "by": retired.by,
                    "time": retired.time,
                    "damage": retired.damage,
                })),
            });
            if known.is_some() {
                told["known-to-master"] = json!(verified.known);
            }
            render::line(&render::json_line(&told));
        }
        Ok(verified) => {
            let records = verified.records;
            render::line(&format!("{records} records, each as it was written"));
            if let Some(retired) = &verified.retired {
                let which = match retired.through {
                    // Nothing of them could be read.
                    0 => "earlier records".to_owned(),
                    through => format!("records 1 to {through}"),
                };
                render::line(&format!(
                    "{which} were retired by {} at {}",
                    Untrusted::new(retired.by.as_str()).escaped(),
                    Untrusted::new(retired.time.as_str()).escaped()
                ));
                if let Some(damage) = &retired.damage {
                    render::line(&described(damage));
                }
            }
            if let Some(known) = known {
                render::line(&compared(known.len(), verified.known));
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

/// How many places that the master was told of were found.
fn compared(told: usize, found: usize) -> String {
    match told - found {
        0 if told == 0 => "the master was told of nothing yet; each step's end tells it".to_owned(),
        0 => format!("{found} places that the master was told of, each as it was told"),
        gone => format!(
            "{found} places that the master was told of, each as it was told; {gone} more were retired"
        ),
    }
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

fn accept_damage(shared: &Shared) -> anyhow::Result<Exit> {
    let folder = folder(shared)?;
    let accepted = audit::accept_damage(&folder)
        .with_context(|| format!("failed to set the audit in {} aside", folder.display()))?;
    if shared.output == Output::Json {
        render::line(&render::json_line(&json!({ "damage": accepted })));
    } else {
        match &accepted {
            Some(damage) => render::line(&format!(
                "the records were set aside: {}",
                described(damage)
            )),
            None => render::line("the audit verifies; nothing was set aside"),
        }
    }
    Ok(Exit::Succeeded)
}

/// What was wrong with an audit that was set aside.
fn described(damage: &audit::Damage) -> String {
    format!(
        "they did not verify ({}:{}: {}), and are kept in {}",
        Untrusted::new(damage.file.as_str()).escaped(),
        damage.line,
        Untrusted::new(damage.what.as_str()).escaped(),
        Untrusted::new(damage.kept.to_string_lossy().as_ref()).escaped()
    )
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
        text("plugin"),
        text("kind"),
        text("capability"),
        text("outcome"),
        text("subject"),
        text("reason"),
    ];
    let said: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    said.join("  ")
}
