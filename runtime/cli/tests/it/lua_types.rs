//! `lua-types`: annotations for editors.

use serde_json::Value;

use crate::modules::modules;
use crate::program::Program;

fn annotations() -> String {
    let ended = Program::new().run(&["lua-types"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("---@meta\n"), "{}", ended.stdout);
    ended.stdout
}

#[test]
fn every_documented_function_has_a_stub() {
    let text = annotations();
    for module in modules(&Program::new()) {
        for function in module["functions"].as_array().unwrap() {
            let name = function["name"].as_str().unwrap();
            let stub = if function["kind"] == "value" {
                format!("\n{name} = ")
            } else {
                format!("\nfunction {name}(")
            };
            assert_eq!(text.matches(&stub).count(), 1, "{name}");
        }
        for alias in module["aliases"].as_array().unwrap() {
            assert!(text.contains(&format!("\n{} = ", alias.as_str().unwrap())));
        }
    }
}

#[test]
fn every_method_of_a_task_and_a_workflow_has_a_field() {
    let text = annotations();
    let all = modules(&Program::new());
    for (function, class) in [
        ("task", "sloth.Task"),
        ("workflow.define", "sloth.Workflow"),
    ] {
        let described = all
            .iter()
            .flat_map(|module| module["functions"].as_array().unwrap())
            .find(|known| known["name"] == function)
            .unwrap()["description"]
            .as_str()
            .unwrap();
        let methods: Vec<_> = described
            .split(|c: char| c.is_whitespace() || "(),".contains(c))
            .filter_map(|word| word.strip_prefix(':'))
            .map(|word| word.trim_end_matches('.'))
            .collect();
        assert!(methods.len() > 8, "{described}");
        for method in methods {
            let field = format!("---@field {method} fun(self: {class}");
            assert!(text.contains(&field), "{class} has no {method}");
        }
    }
}

#[test]
fn the_annotations_are_lua() {
    let program = Program::new();
    // The JSON output is a values file as it stands.
    let ended = program.run(&["lua-types", "--output", "json"]);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["text"].as_str(), Some(annotations().as_str()));
    let values = program.write("types.json", &ended.stdout);
    let file =
        program.task("assert(load(values.text, '=types'))\nreturn { length = #values.text }");
    let ended = program.run_file(&file, &["-v", &values, "--output", "json"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}
