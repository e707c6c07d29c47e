//! `modules`: what is documented is there, and what is there is documented.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::program::{Program, root};

/// The modules that `--output json` gives.
pub(crate) fn modules(program: &Program) -> Vec<Value> {
    let ended = program.run(&["modules", "--output", "json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    told["modules"].as_array().unwrap().clone()
}

/// The functions of modules, but for methods, by their whole names.
fn functions(modules: &[Value]) -> BTreeSet<String> {
    modules
        .iter()
        .flat_map(|module| module["functions"].as_array().unwrap())
        .filter(|function| function["kind"] == "function")
        .map(|function| function["name"].as_str().unwrap().to_owned())
        .collect()
}

fn names(modules: &[Value], status: &str) -> BTreeSet<String> {
    modules
        .iter()
        .filter(|module| module["status"] == status)
        .map(|module| module["name"].as_str().unwrap().to_owned())
        .collect()
}

/// What a task of this body left, run with these values.
fn outputs(program: &Program, body: &str, values: &Value) -> Value {
    let file = program.task(body);
    let values = program.write("values.json", values.to_string());
    let ended = program.run_file(&file, &["-v", &values, "--output", "json"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ended
        .events()
        .into_iter()
        .find(|event| event["event"] == "step-finished")
        .unwrap()["outputs"]
        .clone()
}

fn texts(value: &Value) -> BTreeSet<String> {
    let list = value.as_array().unwrap().iter();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_documented_function_is_there() {
    let program = Program::new();
    let documented = functions(&modules(&program));
    let body = "local missing = json.array()
        for _, name in pairs(values.names) do
          local done, found = pcall(function() return load('local this = ... return ' .. name)(this) end)
          local meta = done and getmetatable(found)
          local callable = type(found) == 'function' or type(meta) == 'table' and meta.__call
          -- What this version has not can be called too, and says so.
          callable = done and callable and not tostring(found):find('not available', 1, true)
          if not callable then missing[#missing + 1] = name end
        end
        return { missing = missing }";
    let missing = outputs(&program, body, &json!({ "names": documented }));
    assert_eq!(missing["missing"], json!([]), "documented, and not there");
}

#[test]
fn every_function_that_is_there_is_documented() {
    let program = Program::new();
    let all = modules(&program);
    let body = "local found = json.array()
        for _, name in pairs(values.names) do
          local module = name == 'this' and this or _G[name]
          if type(module) == 'table' then
            for key, value in pairs(module) do
              if type(value) == 'function' then found[#found + 1] = name .. '.' .. key end
            end
          end
        end
        return { found = found }";
    let found = outputs(&program, body, &json!({ "names": names(&all, "here") }));
    let found = texts(&found["found"]);
    let documented = functions(&all);
    assert!(found.len() > 50, "{found:?}");
    let undocumented: Vec<_> = found.difference(&documented).collect();
    assert!(
        undocumented.is_empty(),
        "there, and without a `--- name.function(…)` comment: {undocumented:?}"
    );
}

#[test]
fn every_global_is_a_module_or_documented() {
    /// What Lua's manual calls the basic functions.
    const BASIC: &str = "_G _VERSION assert collectgarbage error getmetatable ipairs next pairs pcall \
                         rawequal rawget rawlen rawset select setmetatable tonumber tostring type warn xpcall";
    let program = Program::new();
    let all = modules(&program);
    let body = "local found = json.array()
        for name in next, _G do found[#found + 1] = name end
        local aliases = json.array()
        for alias, name in pairs(values.aliases) do
          if _G[alias] ~= _G[name] then aliases[#aliases + 1] = alias end
        end
        return { found = found, aliases = aliases }";
    let mut known = functions(&all);
    let mut aliases = serde_json::Map::new();
    for module in &all {
        known.insert(module["name"].as_str().unwrap().to_owned());
        for alias in module["aliases"].as_array().unwrap() {
            aliases.insert(alias.as_str().unwrap().to_owned(), module["name"].clone());
        }
    }
    known.extend(aliases.keys().cloned());
    known.extend(BASIC.split_whitespace().map(str::to_owned));
    known.extend(["values".to_owned(), "Values".to_owned()]);
    let found = outputs(&program, body, &json!({ "aliases": aliases }));
    assert_eq!(found["aliases"], json!([]), "these mean another module");
    let unknown: Vec<_> = texts(&found["found"]).difference(&known).cloned().collect();
    assert!(
        unknown.is_empty(),
        "no module, and not documented: {unknown:?}"
    );
}

#[test]
fn every_file_of_the_library_with_such_comments_is_read() {
    let documented: BTreeSet<String> = modules(&Program::new())
        .iter()
        .flat_map(|module| module["functions"].as_array().unwrap())
        .map(|function| function["name"].as_str().unwrap().to_owned())
        .collect();
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("guest/lua")).unwrap() {
        let path = entry.unwrap().path();
        let mut before = false;
        for line in std::fs::read_to_string(&path)
            .unwrap()
            .lines()
            .map(str::trim)
        {
            let said = line.strip_prefix("--- ");
            if let Some(said) = said.filter(|_| !before) {
                let end = said.find(|c: char| !(c.is_alphanumeric() || "_.:".contains(c)));
                let (name, rest) = said.split_at(end.unwrap_or(said.len()));
                if rest.starts_with(['(', '{']) {
                    seen += 1;
                    assert!(
                        documented.contains(name),
                        "{name} of {} is not shown; list the file in runtime/cli/src/library/sources.rs",
                        path.display()
                    );
                }
            }
            before = said.is_some();
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn the_page_of_the_guide_is_what_the_program_writes() {
    let ended = Program::new().run(&["modules", "--markdown"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let path = root().join("docs/modules.md");
    if std::env::var_os("SLOTH_ACCEPT").is_some() {
        std::fs::write(&path, &ended.stdout).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == ended.stdout,
        "docs/modules.md differs from the library's comments; SLOTH_ACCEPT=1 writes it anew"
    );
}

#[test]
fn a_table_of_all_modules_fits_eighty_columns() {
    let program = Program::new();
    let ended = program.run(&["modules"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for part in [
        "file_ops (file)    Files as they should be.",
        "In a later version:",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    for name in ["", "fs", "file_ops", "exec"] {
        let arguments = if name.is_empty() {
            vec!["modules"]
        } else {
            vec!["modules", name]
        };
        for line in program.run(&arguments).stdout.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn a_function_is_found_by_any_of_its_names() {
    let program = Program::new();
    for (name, call) in [
        ("fs.read", "fs.read(path)"),
        ("cmd.sh", "exec.sh(text[, options])"),
        ("file.absent", "file_ops.absent{path=}"),
        ("print", "print(...)"),
        ("this.workdir.get", "this.workdir.get()"),
    ] {
        let ended = program.run(&["modules", name, "--output", "json"]);
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        let functions = told["modules"][0]["functions"].as_array().unwrap();
        assert_eq!((functions.len(), &functions[0]["call"]), (1, &json!(call)));
    }
}

#[test]
fn an_unknown_name_is_an_error_that_names_the_nearest() {
    let program = Program::new();
    for (name, said) in [
        ("fss", "there is no module `fss`; did you mean `fs`?"),
        (
            "fs.reed",
            "there is no function `fs.reed`; did you mean `fs.read`?",
        ),
        ("lineinfile", "did you mean `file_ops.lineinfile`?"),
        (
            "nothing\u{1b}[like]this",
            "there is no module `nothing\\u{1b}[like]this`; sloth-runner modules",
        ),
        ("string.rep", "https://www.lua.org/manual/5.4/"),
    ] {
        let ended = program.run(&["modules", name]);
        assert_eq!(ended.code, Some(2), "{name}");
        assert!(ended.stderr.contains(said), "{name}: {}", ended.stderr);
    }
}

#[test]
fn what_comes_later_is_told() {
    let program = Program::new();
    let later = names(&modules(&program), "later");
    if let Some(name) = later.first() {
        let ended = program.run(&["modules", name]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains("later version"), "{}", ended.stdout);
        let ended = program.run(&["modules", &format!("{name}.anything")]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains("later version"), "{}", ended.stderr);
    }
}
