//! What the guest's library has, read from its sources: which keys, and which functions.

use std::collections::BTreeSet;

use crate::program::root;

/// The keys that a file of the guest's library stores: `function keys.NAME`, `keys.NAME =`,
/// `keys["NAME"] =`, and those of a loop over names.
pub(crate) fn keys(file: &str) -> BTreeSet<String> {
    let source = std::fs::read_to_string(root().join("guest/lua").join(file)).unwrap();
    let mut found = BTreeSet::new();
    let mut named = Vec::new();
    for line in source.lines() {
        if let Some(list) = line.strip_prefix("for _, key in pairs({") {
            named = list.split('"').skip(1).step_by(2).collect();
        } else if line.contains("keys[key] =") {
            found.extend(named.drain(..).map(str::to_owned));
        }
        let stores = line
            .strip_prefix("function ")
            .or_else(|| Some(line.split_once('=')?.0))
            .filter(|before| before.starts_with("keys"));
        for part in stores.into_iter().flat_map(|before| before.split(", ")) {
            let name = part
                .strip_prefix("keys.")
                .or_else(|| part.strip_prefix("keys[\""));
            found.extend(name.map(word).filter(|name| !name.is_empty()));
        }
    }
    assert!(found.len() > 5, "{file}: {found:?}");
    found
}

/// The functions of all modules of the guide but these, each with how it is called: `fs.read` and `channel:send`.
pub(crate) fn functions_but(modules: &[&str]) -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/modules.md")).unwrap();
    let mut found = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if let Some(module) = line.strip_prefix("## ") {
            // Names of modules are words; `Lua's own` and what comes later are none.
            inside = !module.contains(' ') && !modules.contains(&module);
        } else if let Some(call) = line.strip_prefix("- `").filter(|_| inside) {
            let end = call
                .find(|c: char| !(c.is_alphanumeric() || "_.:".contains(c)))
                .unwrap_or(call.len());
            found.push(call[..end].to_owned());
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn keys_are_found_in_every_way_they_are_written() {
    let task = keys("task_keys.lua");
    for name in [
        "command",
        "async",
        "run_if",
        "abort_if",
        "on_timeout",
        "pre_exec",
        "on_fail",
    ] {
        assert!(task.contains(name), "{name}: {task:?}");
    }
    let workflow = keys("workflow.lua");
    for name in [
        "description",
        "tasks",
        "on_start",
        "clean_workdir_after_run",
    ] {
        assert!(workflow.contains(name), "{name}: {workflow:?}");
    }
}
