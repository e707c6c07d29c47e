//! `policy test`: calls with the answers that a policy should give.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::json;
use sloth_policy::{Capability, Effective, Identity};
use sloth_workflow::{Untrusted, Value};

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::{input, render};

/// One call, and what should come of it.
struct Case {
    call: String,
    allowed: bool,
    /// Part of the line or of the reason that should decide.
    because: Option<String>,
}

pub(crate) fn test(shared: &Shared, policy: &Path, cases: &Path) -> anyhow::Result<Exit> {
    let policy = input::policy_file(policy)?;
    let shown = cases.display();
    let cases = read(&input::all_values(&[cases.to_owned()], &[])?)
        .with_context(|| format!("failed to read the cases of {shown}"))?;
    let effective = Effective::new(&policy, Identity::unknown(), &[], Vec::new());
    let mut failed = 0;
    let mut told = Vec::new();
    for case in &cases {
        let (capability, subject) = asked(&case.call)?;
        let found = effective.explain(capability, subject);
        let says = format!("{} {}", found.line.as_deref().unwrap_or(""), found.message);
        let because = case.because.as_ref().is_none_or(|part| says.contains(part));
        let passed = found.allowed == case.allowed && because;
        failed += usize::from(!passed);
        told.push(json!({
            "call": case.call,
            "expected": word(case.allowed),
            "found": word(found.allowed),
            "passed": passed,
            "message": found.message,
        }));
        if shared.output == Output::Text && !passed {
            render::line(&format!(
                "FAILED {}: expected {}, found {}: {}",
                Untrusted::new(case.call.as_str()).escaped(),
                word(case.allowed),
                word(found.allowed),
                found.message
            ));
        }
    }
    if shared.output == Output::Json {
        render::line(&render::json_line(
            &json!({ "passed": failed == 0, "cases": told }),
        ));
    } else {
        let (all, passed) = (cases.len(), cases.len() - failed);
        render::line(&format!("{passed} of {all} cases are as expected"));
    }
    Ok(if failed == 0 {
        Exit::Succeeded
    } else {
        Exit::Failed
    })
}

/// A capability and its subject, as `policy explain` takes them too.
pub(crate) fn asked(call: &str) -> anyhow::Result<(Capability, &str)> {
    let (name, subject) = call.split_once(' ').unwrap_or((call, ""));
    let known = || {
        let names: Vec<_> = Capability::ALL.iter().map(|known| known.name()).collect();
        names.join(", ")
    };
    let capability = Capability::from_name(name).with_context(|| {
        format!(
            "`{}` is no capability; write one of {}, then its subject",
            Untrusted::new(name).escaped(),
            known()
        )
    })?;
    Ok((capability, subject.trim()))
}

fn word(allowed: bool) -> &'static str {
    if allowed { "allowed" } else { "denied" }
}

/// `allowed = [call, …]`, `denied = [call, …]`, and `cases = [{ call, expect, because }, …]`.
fn read(values: &Value) -> anyhow::Result<Vec<Case>> {
    let Value::Map(map) = values else {
        bail!("it is no table");
    };
    let mut cases = Vec::new();
    for (key, value) in map {
        let Value::List(items) = value else {
            bail!("`{key}` is not a list");
        };
        for item in items {
            cases.push(match key.as_str() {
                "allowed" | "denied" => Case {
                    call: text(item, key)?,
                    allowed: key == "allowed",
                    because: None,
                },
                "cases" => case(item)?,
                _ => bail!("unknown key `{key}`; known here: allowed, denied, cases"),
            });
        }
    }
    if cases.is_empty() {
        bail!("it has no cases; write allowed = [\"files.read /etc/hosts\"]");
    }
    Ok(cases)
}

fn case(item: &Value) -> anyhow::Result<Case> {
    let Value::Map(fields) = item else {
        bail!("a case is a table of call, expect and because");
    };
    for key in fields.keys() {
        if !["call", "expect", "because"].contains(&key.as_str()) {
            bail!("unknown key `{key}` in a case; known here: call, expect, because");
        }
    }
    let field = |key: &str| fields.get(key).map(|value| text(value, key)).transpose();
    let call = field("call")?.context("a case has no `call`")?;
    let allowed = match field("expect")?.as_deref() {
        Some("allowed") => true,
        Some("denied") => false,
        _ => bail!("the case of `{call}` needs expect = \"allowed\" or \"denied\""),
    };
    let because = field("because")?;
    Ok(Case {
        call,
        allowed,
        because,
    })
}

fn text(value: &Value, key: &str) -> anyhow::Result<String> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        other => bail!("`{key}` holds {}, not a text", other.kind()),
    }
}
