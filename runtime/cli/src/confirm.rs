//! The question before a run: what would run, where, and what it asks for.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::bail;
use sloth_policy::Grants;
use sloth_workflow::{Untrusted, Workflow};

use crate::render;

/// Everything that the workflows declare they need, joined.
pub(crate) fn declared(workflows: &[&Workflow]) -> Grants {
    workflows
        .iter()
        .flat_map(|workflow| {
            let tasks = workflow
                .tasks
                .iter()
                .filter_map(|task| task.capabilities.clone());
            workflow.capabilities.iter().cloned().chain(tasks)
        })
        .fold(Grants::nothing(), Grants::merge)
}

/// Refuses to grant without a question what amounts to the whole account.
pub(crate) fn refuse_account(declared: &Grants) -> anyhow::Result<()> {
    let given_away = declared.gives_account_away();
    if given_away.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = given_away
        .iter()
        .map(|line| format!("  {}", Untrusted::new(line.as_str()).escaped()))
        .collect();
    bail!(
        "--grant-declared does not grant what gives the account away:\n{}\nwrite a policy with \
         the lines you mean to grant, and name it with --policy",
        lines.join("\n")
    );
}

/// Asks on the terminal whether to run the workflows on agents. A "yes" grants nothing: each agent has its own policy.
pub(crate) fn ask_there(workflows: &[&Workflow], targets: &[String]) -> anyhow::Result<bool> {
    if !(std::io::stdin().is_terminal() && render::stderr_is_terminal()) {
        bail!(
            "nobody can be asked, since there is no terminal; add --yes to run without a question"
        );
    }
    let targets: Vec<String> = targets
        .iter()
        .map(|target| Untrusted::new(target.as_str()).escaped())
        .collect();
    for workflow in workflows {
        render::note(&format!("workflow {}", workflow.name.escaped()));
        for task in &workflow.tasks {
            let place = match &task.delegate_to {
                Some(delegate) => {
                    let texts = delegate.texts();
                    let texts: Vec<_> = texts.iter().map(Untrusted::escaped).collect();
                    texts.join(", ")
                }
                None if targets.is_empty() => "this machine".to_owned(),
                None => targets.join(", "),
            };
            render::note(&format!("  {}  (on {place})", task.name.escaped()));
        }
    }
    let lines = declared(workflows).lines();
    if !lines.is_empty() {
        render::note(
            "It asks for these capabilities, as far as each agent's own policy grants them:",
        );
        for line in &lines {
            render::note(&format!("  {}", Untrusted::new(line.as_str()).escaped()));
        }
    }
    let _ = write!(std::io::stderr(), "Run it there? Type yes to go on: ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

/// Asks on the terminal. True is a "yes", which also grants what is declared. Without a terminal
/// there is nobody to ask, and that is an error.
pub(crate) fn ask(workflows: &[&Workflow], declared: &Grants) -> anyhow::Result<bool> {
    if !(std::io::stdin().is_terminal() && render::stderr_is_terminal()) {
        bail!(
            "nobody can be asked, since there is no terminal; add --yes to run without a question \
             (it grants nothing by itself: name a policy, or add --grant-declared)"
        );
    }
    for workflow in workflows {
        render::note(&format!("workflow {}", workflow.name.escaped()));
        for task in &workflow.tasks {
            let description = task.description.escaped();
            let gap = if description.is_empty() { "" } else { "  " };
            render::note(&format!(
                "  {}{gap}{description}  (on this machine)",
                task.name.escaped()
            ));
        }
    }
    let lines = declared.lines();
    if lines.is_empty() {
        render::note("It declares no capabilities: what it may do is decided by the policy alone.");
    } else {
        render::note("It asks for these capabilities, which \"yes\" grants for this run:");
        for line in &lines {
            render::note(&format!("  {}", Untrusted::new(line.as_str()).escaped()));
        }
    }
    for line in declared.gives_account_away() {
        render::note(&format!(
            "  careful: {} is as good as your whole account",
            Untrusted::new(line.as_str()).escaped()
        ));
    }
    let _ = write!(std::io::stderr(), "Run it? Type yes to go on: ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
