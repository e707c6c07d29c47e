//! `policy`: whether a policy is valid, and what it decides.

use std::path::Path;

use serde_json::json;
use sloth_policy::{Effective, Identity, Outer};
use sloth_workflow::Untrusted;

use crate::cases::{self, asked};
use crate::command::{Output, PolicyCommand, PolicyOptions, Shared};
use crate::exit::Exit;
use crate::{input, render};

pub(crate) fn policy(shared: &Shared, options: &PolicyOptions) -> anyhow::Result<Exit> {
    match &options.command {
        PolicyCommand::Check { file } => check(shared, file),
        PolicyCommand::Explain { file, call } => explain(shared, file, call),
        PolicyCommand::Test { file, cases } => cases::test(shared, file, cases),
    }
}

fn check(shared: &Shared, file: &Path) -> anyhow::Result<Exit> {
    let policy = input::policy_file(file)?;
    let findings = policy.warnings();
    let outer = Outer::of(&policy);
    if shared.output == Output::Json {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| json!({ "line": finding.line, "grant": finding.grant, "amounts-to": finding.amounts_to }))
            .collect();
        render::line(&render::json_line(
            &json!({ "valid": true, "findings": findings, "systemd": in_json(&outer) }),
        ));
        return Ok(Exit::Succeeded);
    }
    for finding in &findings {
        render::line(&format!(
            "{}:{}: {} amounts to {}",
            file.display(),
            finding.line,
            Untrusted::new(finding.grant.as_str()).escaped(),
            finding.amounts_to
        ));
    }
    render::line(&format!("{} is valid", file.display()));
    render::line("a unit whose sandbox is made for it (systemd)");
    for sentence in outer.sentences() {
        render::line(&format!("  {sentence}"));
    }
    Ok(Exit::Succeeded)
}

/// What the sandbox around the process must have room for.
fn in_json(outer: &Outer) -> serde_json::Value {
    json!({
        "read-write-paths": outer.read_write_paths(),
        "seen": outer.seen,
        "network": if outer.network { "any" } else { "master" },
        "address-families": outer.families(),
        "root": outer.root(),
        "capabilities": outer.capabilities(),
        "programs": outer.programs,
        "units": outer.units,
        "unit-files": outer.unit_files,
    })
}

fn explain(shared: &Shared, file: &Path, call: &str) -> anyhow::Result<Exit> {
    let policy = input::policy_file(file)?;
    let (capability, subject) = asked(call)?;
    let effective = Effective::new(&policy, Identity::unknown(), &[], Vec::new());
    let explanation = effective.explain(capability, subject);
    // What is granted to everybody needs no rule, and what is denied is denied to all.
    let rules = if explanation.allowed {
        Vec::new()
    } else {
        policy.rules_granting(capability, subject)
    };
    if shared.output == Output::Json {
        render::line(&render::json_line(&json!({
            "allowed": explanation.allowed,
            "layer": explanation.layer,
            "line": explanation.line,
            "message": explanation.message,
            "rules": rules.iter().map(|rule| json!({
                "line": rule.line,
                "condition": rule.condition,
            })).collect::<Vec<_>>(),
        })));
    } else {
        render::line(&explanation.message);
        if let Some(line) = &explanation.line {
            render::line(line);
        }
        for rule in &rules {
            render::line(&format!(
                "a rule grants it to bundles of {} by {}",
                rule.condition, rule.line
            ));
        }
    }
    Ok(if explanation.allowed {
        Exit::Succeeded
    } else {
        Exit::Denied
    })
}
