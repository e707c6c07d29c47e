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

/// A stub of the annotations: the parameters of its comments and those of its signature.
struct Stub {
    documented: Vec<String>,
    taken: Vec<String>,
}

/// The stub of a function.
fn stub(text: &str, name: &str) -> Stub {
    let begin = format!("\nfunction {name}(");
    let at = text
        .find(&begin)
        .unwrap_or_else(|| panic!("{name} has no stub"));
    let signature = text[at + begin.len()..].lines().next().unwrap();
    let taken = signature
        .strip_suffix(") end")
        .unwrap_or_else(|| panic!("{name}: {signature}"));
    let above = text[..at]
        .lines()
        .rev()
        .take_while(|line| line.starts_with("---"));
    let documented = above.filter_map(|line| line.strip_prefix("---@param "));
    let mut documented: Vec<String> = documented
        .map(|line| {
            let (parameter, kind) = line
                .split_once(' ')
                .unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(!kind.is_empty(), "{name}: {line}");
            parameter.trim_end_matches('?').to_owned()
        })
        .collect();
    documented.reverse();
    Stub {
        documented,
        taken: taken
            .split(", ")
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect(),
    }
}

#[test]
fn every_stub_has_the_parameters_that_the_guide_writes() {
    let text = annotations();
    for module in modules(&Program::new()) {
        for function in module["functions"].as_array().unwrap() {
            let (name, call) = (
                function["name"].as_str().unwrap(),
                function["call"].as_str().unwrap(),
            );
            if function["kind"] == "value" {
                continue;
            }
            let stub = stub(&text, name);
            assert_eq!(stub.documented, stub.taken, "{name}");
            let written = &call[name.len()..];
            let none = written == "()";
            assert_eq!(stub.taken.is_empty(), none, "{call}: {:?}", stub.taken);
            // A table of options is one parameter, and what has a name of its own keeps it.
            for parameter in stub.taken.iter().filter(|one| {
                !matches!(one.as_str(), "..." | "value")
                    && !one.starts_with("options")
                    && !one.ends_with('_')
            }) {
                let bare = parameter.trim_end_matches(|c: char| c.is_ascii_digit());
                assert!(written.contains(bare), "{call}: {parameter}");
            }
        }
    }
}

/// Every line of the annotations is of a form that `LuaLS` knows.
#[test]
fn every_annotation_is_of_a_known_form() {
    const TAGS: [&str; 10] = [
        "meta", "class", "field", "alias", "param", "return", "type", "overload", "generic",
        "vararg",
    ];
    let text = annotations();
    let known = |kind: &str| {
        kind.split(|c: char| !(c.is_alphanumeric() || "_.".contains(c)))
            .filter(|word| word.starts_with("sloth."))
            .all(|word| {
                text.contains(&format!("---@class {word}"))
                    || text.contains(&format!("---@alias {word} "))
            })
    };
    for line in text.lines().filter(|line| line.starts_with("---@")) {
        let tag = line[4..].split(' ').next().unwrap();
        assert!(TAGS.contains(&tag), "{line}");
        assert!(known(line), "a class that nobody declares: {line}");
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
