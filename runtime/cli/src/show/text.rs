//! A plan for people.

use std::fmt::Write;

use sloth_policy::Grants;
use sloth_workflow::plan::{Backoff, Condition, DEFAULT_TIMEOUT, Delegate, Part, Wait};
use sloth_workflow::{Bundle, Plan, Task, Untrusted, Workflow};

use crate::plugin::Planned;

pub(crate) fn text(plan: &Plan, bundle: &Bundle, plugins: &[Planned]) -> String {
    let mut text = format!("bundle {}\n", bundle.digest());
    let values = bundle.values_digest();
    if values != "none" {
        let _ = writeln!(text, "values {values}");
    }
    if !bundle.carried.is_empty() {
        let names = bundle.carried.keys().take(10);
        let names: Vec<_> = names
            .map(|name| Untrusted::new(name.as_str()).escaped())
            .collect();
        let more = if bundle.carried.len() > names.len() {
            ", …"
        } else {
            ""
        };
        let _ = writeln!(text, "carries {}{more}", names.join(", "));
    }
    for plugin in plugins {
        let _ = writeln!(text, "{}", plugin.line());
    }
    for one in &plan.workflows {
        workflow(&mut text, one);
    }
    text
}

fn workflow(text: &mut String, workflow: &Workflow) {
    let _ = write!(text, "\nworkflow {}", workflow.name.escaped());
    if !workflow.version.is_empty() {
        let _ = write!(text, " {}", workflow.version.escaped());
    }
    text.push('\n');
    if !workflow.description.is_empty() {
        let _ = writeln!(text, "  {}", workflow.description.escaped());
    }
    let mut how = Vec::new();
    if workflow.max_parallel_tasks > 1 {
        how.push(format!("{} tasks at a time", workflow.max_parallel_tasks));
    }
    if let Some(timeout) = workflow.timeout {
        how.push(format!("{timeout:?} at most"));
    }
    if workflow.continue_on_failure {
        how.push("goes on after a failure".to_owned());
    }
    if !how.is_empty() {
        let _ = writeln!(text, "  {}", how.join(", "));
    }
    if let Some(delegate) = &workflow.delegate_to {
        let _ = writeln!(text, "  {}", place(delegate));
    }
    if let Some(lock) = &workflow.lock {
        let meanwhile = match lock.wait {
            Wait::Queue => "waits",
            Wait::Skip => "is skipped",
            Wait::Fail => "fails",
        };
        let name = lock.name.escaped();
        let _ = writeln!(
            text,
            "  {meanwhile} while another run holds the lock {name}"
        );
    }
    let width = workflow
        .tasks
        .iter()
        .map(|task| task.name.escaped().chars().count())
        .max()
        .unwrap_or(0)
        .min(32);
    if workflow.hooks.contains(Part::OnStart) {
        text.push_str("  begins with on_start\n");
    }
    for one in &workflow.tasks {
        let line = format!(
            "  {:<width$}  {}",
            one.name.escaped(),
            one.description.escaped()
        );
        let _ = writeln!(text, "{}", line.trim_end());
        for line in lines(one) {
            let _ = writeln!(text, "    {line}");
        }
    }
    if workflow.hooks.contains(Part::OnComplete) {
        text.push_str("  ends with on_complete\n");
    }
    match &workflow.capabilities {
        None => text.push_str("  declares no capabilities\n"),
        Some(grants) => {
            text.push_str("  asks for\n");
            for line in grants.lines() {
                let _ = writeln!(text, "    {}", Untrusted::new(line).escaped());
            }
        }
    }
}

fn place(delegate: &Delegate) -> String {
    let texts: Vec<_> = delegate.texts().iter().map(Untrusted::escaped).collect();
    let each = if delegate.fans_out { "each of " } else { "" };
    format!("on {each}{}", texts.join(", "))
}

/// What is particular about a task.
fn lines(task: &Task) -> Vec<String> {
    let mut lines: Vec<_> = task.delegate_to.iter().map(place).collect();
    let mut names = |word: &str, names: &[Untrusted]| {
        if !names.is_empty() {
            let names: Vec<_> = names.iter().map(Untrusted::escaped).collect();
            lines.push(format!("{word} {}", names.join(", ")));
        }
    };
    names("after", &task.depends_on);
    names("if failed:", &task.next_if_fail);
    names("consumes", &task.consumes);
    names("leaves", &task.artifacts);
    for (word, condition) in [("run if", &task.run_if), ("abort if", &task.abort_if)] {
        match condition {
            None => {}
            Some(Condition::Function) => lines.push(format!("{word} its function says so")),
            Some(Condition::Text(text)) => lines.push(format!("{word} `{}`", text.escaped())),
        }
    }
    if task.retries.count > 0 {
        let backoff = match task.retries.backoff {
            Backoff::Constant => "every",
            Backoff::Exponential => "doubling from",
        };
        lines.push(format!(
            "up to {} retries, {backoff} {:?}",
            task.retries.count, task.retries.delay
        ));
    }
    let hooks: Vec<_> = Part::OF_TASK
        .iter()
        .filter(|part| task.hooks.contains(**part))
        .map(|part| part.key())
        .collect();
    if !hooks.is_empty() {
        lines.push(format!("hooks {}", hooks.join(", ")));
    }
    if task.detached {
        lines.push("beside the others".to_owned());
    }
    if task.timeout != DEFAULT_TIMEOUT {
        lines.push(format!("{:?} at most", task.timeout));
    }
    for (word, value) in [("in", &task.workdir), ("as user", &task.user)] {
        if let Some(value) = value {
            lines.push(format!("{word} {}", value.escaped()));
        }
    }
    for line in task.capabilities.iter().flat_map(Grants::lines) {
        lines.push(format!("narrowed to {}", Untrusted::new(line).escaped()));
    }
    lines
}
