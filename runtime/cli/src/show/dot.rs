//! Graphviz: one cluster a workflow, an arrow from each task to those that run after it.

use std::fmt::Write;

use sloth_workflow::{Plan, Untrusted};

/// A solid arrow is `depends_on` or `consumes`, a dashed one `next_if_fail`; a rounded task runs under
/// a condition.
pub(crate) fn dot(plan: &Plan) -> String {
    let mut dot = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box];\n");
    for (index, workflow) in plan.workflows.iter().enumerate() {
        let _ = writeln!(dot, "  subgraph cluster_{index} {{");
        let _ = writeln!(dot, "    label={};", quoted(&workflow.name.escaped()));
        for (number, task) in workflow.tasks.iter().enumerate() {
            let conditional = task.run_if.is_some() || task.abort_if.is_some();
            let style = if conditional { ", style=rounded" } else { "" };
            let mut label = task.name.escaped();
            if let Some(delegate) = task.delegate_to.as_ref().or(workflow.delegate_to.as_ref()) {
                let texts: Vec<_> = delegate.texts().iter().map(Untrusted::escaped).collect();
                let _ = write!(label, " on {}", texts.join(", "));
            }
            let label = quoted(&label);
            let _ = writeln!(dot, "    w{index}t{number} [label={label}{style}];");
            for on in &workflow.edges[number] {
                let _ = writeln!(dot, "    w{index}t{on} -> w{index}t{number};");
            }
            for on in &workflow.if_failed[number] {
                let _ = writeln!(
                    dot,
                    "    w{index}t{on} -> w{index}t{number} [style=dashed, label=\"if failed\"];"
                );
            }
        }
        dot.push_str("  }\n");
    }
    dot.push_str("}\n");
    dot
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
