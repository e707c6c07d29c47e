//! `plugin`: a node's plugins and an author's, plans that name them, and runs that bring them along.

use std::path::PathBuf;

use serde_json::Value;

use crate::house::{Fleet, of};
use crate::program::{Program, root};

/// What the sandbox's own tests call.
fn probe() -> PathBuf {
    root().join("runtime/sandbox/tests/plugins/probe.wasm")
}

const WORKFLOW: &str = "local probe = plugin('probe')\nworkflow.define('w'):tasks({ task('t'):command(function()\n\
                        return probe.add_up({ 1, 2, 3 }) == 6, 'added up', { sum = probe.add_up({ 1, 2, 3 }) } end) })";

#[test]
fn a_plugin_is_added_listed_looked_at_called_and_removed() {
    let program = Program::keeping();
    let file = probe().display().to_string();
    let none = program.run(&["plugin", "list"]);
    assert!(none.stdout.starts_with("No plugins in "), "{}", none.stdout);

    let added = program.run(&["plugin", "add", &file, "--output", "json"]);
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let told: Value = serde_json::from_str(&added.stdout).unwrap();
    assert_eq!(told["name"], "probe");
    assert_eq!(told["nouns"], serde_json::json!(["files", "state"]));
    let digest = told["sha256"].as_str().unwrap().to_owned();
    let again = program.run(&["plugin", "add", &file, "--sha256", &digest]);
    assert!(
        again.stdout.contains("is there already"),
        "{}",
        again.stdout
    );

    let listed = program.run(&["plugin", "list"]);
    assert!(listed.stdout.starts_with("probe  ") && listed.stdout.contains(&digest));
    let looked = program.run(&["plugin", "inspect", "probe"]);
    assert!(
        looked.stdout.contains("echo.text(value: string) -> string"),
        "{}",
        looked.stdout
    );
    assert!(
        looked.stdout.contains("Can ask for\n  files, state"),
        "{}",
        looked.stdout
    );
    let wit = program.run(&["plugin", "inspect", &file, "--wit"]);
    assert!(wit.stdout.contains("resource counter"), "{}", wit.stdout);

    let workflow = program.write("w.sloth", WORKFLOW);
    let policy = program.policy("plugins.call = ['probe']");
    let planned = program.run(&["plan", &workflow]);
    let line = format!("plugin probe  sha256 {digest}  can ask for: files, state\n");
    assert!(planned.stdout.contains(&line), "{}", planned.stdout);
    let ran = program.run_file(&workflow, &["--policy", &policy]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let refused = program.run_file(&workflow, &[]);
    assert_eq!(refused.code, Some(3), "{}", refused.stdout);
    assert!(
        refused.stdout.contains("[plugins] call = [\"probe\"]"),
        "{}",
        refused.stdout
    );

    assert_eq!(program.run(&["plugin", "remove", "probe"]).code, Some(0));
    let gone = program.run(&["plugin", "remove", "probe"]);
    assert_eq!(gone.code, Some(2));
    assert!(
        gone.stderr.contains("there is no plugin probe"),
        "{}",
        gone.stderr
    );
    let planned = program.run(&["plan", &workflow]);
    assert!(
        planned.stdout.contains("plugin probe  not on this node"),
        "{}",
        planned.stdout
    );
}

#[test]
fn what_cannot_be_added_is_refused_with_the_remedy() {
    let program = Program::keeping();
    let file = probe().display().to_string();
    let text = program.write("notes.wasm", "hello");
    for (arguments, with) in [
        (
            vec!["plugin", "add", &text],
            "notes.wasm is no plugin: it is no WebAssembly component",
        ),
        (
            vec!["plugin", "add", &file, "--name", "a/b"],
            "`a/b` is no name of a plugin",
        ),
        (
            vec!["plugin", "add", &file, "--sha256", "00"],
            "is not what was asked for: it is sha256",
        ),
        (
            vec!["plugin", "add", "/nowhere.wasm"],
            "failed to read /nowhere.wasm",
        ),
        (
            vec!["plugin", "inspect", "nothing"],
            "failed to read nothing",
        ),
        (vec!["plugin", "test", "/"], "build the plugin first"),
    ] {
        let ended = program.run(&arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stdout);
        assert!(ended.stderr.contains(with), "{with}: {}", ended.stderr);
    }
    assert_eq!(program.run(&["plugin", "add", &file]).code, Some(0));
    // Another one of that name: with a section that says nothing it is another file.
    let mut content = std::fs::read(probe()).unwrap();
    content.extend([0, 5, 1, b'x', 0, 0, 0]);
    let other = program.write("other.wasm", content);
    let ended = program.run(&["plugin", "add", &other, "--name", "probe"]);
    assert!(
        ended
            .stderr
            .contains("--replace puts this one in its place"),
        "{}",
        ended.stderr
    );
    let ended = program.run(&["plugin", "add", &other, "--name", "probe", "--replace"]);
    assert!(
        ended.stdout.starts_with("probe was replaced"),
        "{}",
        ended.stdout
    );
}

#[test]
fn what_lies_beside_the_workflow_comes_along_and_must_not_be_another() {
    let program = Program::keeping();
    let workflow = program.write("w.sloth", WORKFLOW);
    let policy = program.policy("plugins.call = ['probe']");
    std::fs::create_dir(program.path("plugins")).unwrap();
    std::fs::copy(probe(), program.path("plugins/probe.wasm")).unwrap();
    let planned = program.run(&["plan", &workflow, "--output", "json"]);
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(plan["carries"], serde_json::json!(["plugins/probe.wasm"]));
    assert_eq!(plan["plugins"][0]["carried"], true);
    let ran = program.run_file(&workflow, &["--policy", &policy]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);

    let mut content = std::fs::read(probe()).unwrap();
    content.extend([0, 5, 1, b'x', 0, 0, 0]);
    let other = program.write("other.wasm", content);
    assert_eq!(
        program
            .run(&["plugin", "add", &other, "--name", "probe"])
            .code,
        Some(0)
    );
    let ran = program.run_file(&workflow, &["--policy", &policy]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout.contains("there are two plugins probe"),
        "{}",
        ran.stdout
    );
}

#[test]
fn an_author_tests_a_plugin_with_no_rights_but_to_be_called() {
    let program = Program::keeping();
    for language in ["rust", "python", "js"] {
        let name = format!("demo-{language}");
        let dir = program.path("");
        let ended = program.run(&["plugin", "new", "--lang", language, &name, "--dir", &dir]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let wit = std::fs::read_to_string(program.path(&format!("{name}/wit/world.wit"))).unwrap();
        assert!(
            wit.starts_with(&format!("package {name}:{name}@0.1.0;")),
            "{wit}"
        );
        let again = program.run(&["plugin", "new", "--lang", language, &name, "--dir", &dir]);
        assert!(
            again.stderr.contains("nothing was written"),
            "{}",
            again.stderr
        );
    }
    let folder = program.path("probe");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(probe(), format!("{folder}/probe.wasm")).unwrap();
    let script = |body: &str| {
        let script = format!(
            "local probe = plugin('probe')\nworkflow.define('test'):tasks({{ task('t'):command(function() {body} \
             end) }})"
        );
        std::fs::write(format!("{folder}/test.sloth"), script).unwrap();
    };
    script("assert(probe.text('x') == 'x')");
    assert_eq!(program.run(&["plugin", "test", &folder]).code, Some(0));
    script("return probe.read('/etc/hostname')");
    let denied = program.run(&["plugin", "test", &folder]);
    assert_eq!(denied.code, Some(3), "{}", denied.stdout);
}

#[test]
fn a_plugin_goes_to_agents_whose_policy_lets_it_be_called() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "plugins.call = ['probe']");
    fleet.agent("b", "");
    let file = fleet.master.write("w.sloth", WORKFLOW);
    std::fs::create_dir(fleet.master.path("plugins")).unwrap();
    std::fs::copy(probe(), fleet.master.path("plugins/probe.wasm")).unwrap();
    for _ in 0..2 {
        let (events, said, code) = fleet.run(&file, &["--delegate-to", "a"]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(of(&events, "step-finished")[0]["outcome"], "ok");
    }
    // Each run has a bundle of its own, and all of them the plugin between them.
    let contents = std::fs::read_dir(fleet.member("a").program.data().join("contents")).unwrap();
    let sizes = contents.map(|content| content.unwrap().metadata().unwrap().len());
    let (large, small): (Vec<u64>, Vec<u64>) = sizes.partition(|size| *size > 10_000);
    let plugin = std::fs::metadata(probe()).unwrap().len();
    assert_eq!((large, small.len()), (vec![plugin], 2));
    let (events, _, code) = fleet.run(&file, &["--delegate-to", "b"]);
    assert_eq!(code, Some(3));
    assert_eq!(of(&events, "denial")[0]["capability"], "plugins.call");
}
