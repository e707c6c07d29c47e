//! A plan as one JSON object; its shape is in docs/events.md.

use std::time::Duration;

use serde_json::{Value as Json, json};
use sloth_policy::Grants;
use sloth_workflow::plan::{Backoff, Condition, Delegate, Part, Retries};
use sloth_workflow::{Bundle, Plan, Task, Workflow};

use crate::plugin::Planned;

pub(crate) fn json(plan: &Plan, bundle: &Bundle, plugins: &[Planned]) -> Json {
    json!({
        "bundle": bundle.digest(),
        "values": bundle.values_digest(),
        "carries": bundle.carried.keys().collect::<Vec<_>>(),
        "plugins": plugins.iter().map(Planned::json).collect::<Vec<_>>(),
        "workflows": plan.workflows.iter().map(workflow).collect::<Vec<_>>(),
    })
}

fn workflow(workflow: &Workflow) -> Json {
    json!({
        "name": workflow.name,
        "line": workflow.line,
        "description": workflow.description,
        "version": workflow.version,
        "metadata": workflow.metadata,
        "timeout-ms": workflow.timeout.map(milliseconds),
        "max-parallel-tasks": workflow.max_parallel_tasks,
        "on-failure": if workflow.continue_on_failure { "continue" } else { "stop" },
        "lock": workflow.lock.as_ref().map(|lock| json!({ "name": lock.name, "wait": lock.wait.word() })),
        "delegate-to": workflow.delegate_to.as_ref().map(delegate),
        "hooks": hooks(&Part::OF_WORKFLOW, |part| workflow.hooks.contains(part)),
        "capabilities": workflow.capabilities.as_ref().map(Grants::lines),
        "tasks": workflow.tasks.iter().map(task).collect::<Vec<_>>(),
    })
}

fn task(task: &Task) -> Json {
    json!({
        "name": task.name,
        "line": task.line,
        "description": task.description,
        "depends-on": task.depends_on,
        "next-if-fail": task.next_if_fail,
        "consumes": task.consumes,
        "artifacts": task.artifacts,
        "async": task.detached,
        "run-if": task.run_if.as_ref().map(condition),
        "abort-if": task.abort_if.as_ref().map(condition),
        "hooks": hooks(&Part::OF_TASK, |part| task.hooks.contains(part)),
        "timeout-ms": milliseconds(task.timeout),
        "retries": retries(&task.retries),
        "workdir": task.workdir,
        "user": task.user,
        "delegate-to": task.delegate_to.as_ref().map(delegate),
        "capabilities": task.capabilities.as_ref().map(Grants::lines),
    })
}

/// A name, or the list of names and selectors of one that fans out.
fn delegate(delegate: &Delegate) -> Json {
    match delegate.texts().as_slice() {
        [name] if !delegate.fans_out => json!(name),
        texts => json!(texts),
    }
}

/// Null for none.
fn retries(retries: &Retries) -> Json {
    if retries.count == 0 {
        return Json::Null;
    }
    json!({
        "n": retries.count,
        "delay-ms": milliseconds(retries.delay),
        "backoff": match retries.backoff {
            Backoff::Constant => "constant",
            Backoff::Exponential => "exponential",
        },
        "max-delay-ms": milliseconds(retries.max_delay),
        "jitter": retries.jitter,
        "on": retries.on,
    })
}

/// A command line, or null for a function.
fn condition(condition: &Condition) -> Json {
    match condition {
        Condition::Function => json!({ "kind": "function" }),
        Condition::Text(text) => json!({ "kind": "text", "text": text }),
    }
}

fn hooks(known: &[Part], has: impl Fn(Part) -> bool) -> Vec<&'static str> {
    known
        .iter()
        .filter(|part| has(**part))
        .map(|part| part.name())
        .collect()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
