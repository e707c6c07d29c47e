//! What the guides say is so: their workflows load, and they name every key.

use crate::library;
use crate::program::{Program, root};

/// The guides with workflows in them.
fn guides() -> Vec<(String, String)> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let mut paths: Vec<_> = docs.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.push(root().join("README.md"));
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// The Lua in a guide, each with the line it begins at.
fn snippets(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = !inside && line == "```lua";
            if inside {
                found.push((index + 2, String::new()));
            }
        } else if inside && let Some((_, snippet)) = found.last_mut() {
            snippet.push_str(line);
            snippet.push('\n');
        }
    }
    found
}

#[test]
fn every_whole_workflow_in_the_guides_loads() {
    let program = Program::new();
    let mut whole = Vec::new();
    for (guide, text) in guides() {
        for (line, snippet) in snippets(&text) {
            let oldest = snippet.contains("TaskDefinitions = {");
            if snippet.contains("workflow.define(") || oldest {
                let name = format!("{guide}-{line}.sloth");
                whole.push(program.write(&name, snippet));
            }
        }
    }
    assert!(whole.len() > 10, "{whole:?}");
    let mut arguments = vec!["check"];
    arguments.extend(whole.iter().map(String::as_str));
    let ended = program.run(&arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn every_key_has_its_row_in_the_reference() {
    let text = std::fs::read_to_string(root().join("docs/workflow-language.md")).unwrap();
    let part = |from: &str, to: &str| {
        let rest = text.split_once(from).expect(from).1;
        rest.split_once(to).expect(to).0.to_owned()
    };
    let tables = [
        ("task_keys.lua", part("\n## Task keys\n", "\n## ")),
        ("workflow.lua", part("\n## Workflow keys\n", "\n## ")),
    ];
    for (file, part) in tables {
        for key in library::keys(file) {
            let named = format!("`{key}`");
            let row = part
                .lines()
                .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
                .any(|first| first.contains(&named));
            assert!(
                row,
                "{key} of {file} has no row in docs/workflow-language.md"
            );
        }
    }
}
