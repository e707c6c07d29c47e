//! Loading: nothing a file does at its top level reaches the machine, and what is no workflow says
//! so.

use crate::world::{World, bundle, first_command, sandbox};
use sloth_policy::Policy;
use sloth_sandbox::{Session, Setup, never};
use std::sync::Arc;

const DEFINE: &str = "workflow.define('w'):tasks({ task('t'):command(function() end):build() })\n";

fn refusal(script: &str) -> String {
    let failure = World::plan(script).expect_err("the file must not load");
    let location = failure
        .location
        .map_or_else(String::new, |at| format!("{}: ", at.raw()));
    format!("{location}{}", failure.message.raw())
}

#[test]
fn host_calls_at_the_top_level_are_refused_with_their_line() {
    for call in [
        "fs.read('/etc/hostname')",
        "fs.write('/tmp/sloth-loaded', 'x')",
        "exec.run('true')",
        "facts.hostname()",
        "os.getenv('PATH')",
        "fs.rm('/tmp/x')",
        "file_ops.directory({ path = '/tmp/sloth-loaded' })",
    ] {
        let said = refusal(&format!("{DEFINE}{call}"));
        assert!(said.starts_with("test.sloth:2: "), "{call}: {said}");
        assert!(
            said.contains("move this call into a task"),
            "{call}: {said}"
        );
    }
    assert!(!std::path::Path::new("/tmp/sloth-loaded").exists());
}

#[test]
fn a_refusal_caught_at_the_top_level_still_has_no_effect() {
    let plan = World::plan(&format!(
        "pcall(fs.write, '/tmp/sloth-caught', 'x')\n{DEFINE}"
    ));
    assert!(plan.is_ok());
    assert!(!std::path::Path::new("/tmp/sloth-caught").exists());
}

#[test]
fn text_that_is_not_lua_names_the_line() {
    assert!(refusal("workflow.define('w'\n:tasks {").starts_with("test.sloth:"));
    assert!(refusal("<html>").contains("unexpected symbol"));
}

#[test]
fn bytecode_is_refused() {
    let said = refusal("\x1bLua\x54\0\x19\u{93}");
    assert!(said.contains("binary") || said.contains("text"), "{said}");
}

#[test]
fn a_file_without_a_workflow_says_what_to_write() {
    assert!(refusal("local x = 1").contains("workflow.define"));
}

#[test]
fn an_unknown_method_names_the_nearest() {
    let said = refusal("task('t'):depend_on('x')");
    assert_eq!(
        said,
        "test.sloth:1: unknown method `depend_on` of task; did you mean `depends_on`?"
    );
    let said = refusal("workflow.define('w', { taks = {} })");
    assert!(
        said.contains("`taks`") && said.contains("`tasks`"),
        "{said}"
    );
}

#[test]
fn what_the_language_has_and_this_version_has_not_is_never_ignored() {
    for (script, word) in [
        ("firewall.allow('ssh')", "firewall"),
        ("stow.link('x')", "stow"),
    ] {
        let said = refusal(script);
        assert!(
            said.contains(&format!("`{word}")) && said.contains("not available"),
            "{said}"
        );
    }
}

#[test]
fn an_unknown_function_of_a_module_names_the_nearest() {
    let ended = World::new().run("file_ops.linefile()").ended();
    assert_eq!(
        ended,
        "failed: unknown function `file_ops.linefile`; did you mean `lineinfile`?"
    );
}

#[test]
fn cycles_duplicates_and_unknown_dependencies_are_named() {
    let tasks = |tasks: &str| {
        refusal(&format!(
            "workflow.define('w', {{ tasks = {{ {tasks} }} }})"
        ))
    };
    let task = |name: &str, on: &str| {
        format!("{{ name = '{name}', depends_on = {{ {on} }}, command = function() end }},")
    };
    assert!(tasks(&(task("a", "'b'") + &task("b", "'a'"))).contains("a → b → a"));
    assert!(tasks(&(task("a", "") + &task("a", ""))).contains("defined twice"));
    assert!(tasks(&(task("fetch", "") + &task("b", "'fech'"))).contains("did you mean `fetch`?"));
}

#[test]
fn a_plan_of_a_million_tasks_is_refused_and_not_by_a_crash() {
    let said = refusal(
        "local tasks = {}
         for i = 1, 1000000 do tasks[i] = { name = 't' .. i, command = function() end } end
         workflow.define('w', { tasks = tasks })",
    );
    assert!(
        said.contains("tasks") || said.contains("out of memory"),
        "{said}"
    );
}

#[test]
fn loading_for_ever_ends() {
    let began = std::time::Instant::now();
    let policy = "version = 1\nlimits.step-time = '1s'";
    let bundle = Arc::new(bundle("while true do end"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let failure = runtime
        .block_on(sandbox(policy).plan(&bundle, never()))
        .unwrap_err();
    assert!(
        failure.message.raw().contains("time ran out"),
        "{:?}",
        failure.message
    );
    assert!(began.elapsed().as_secs() < 10);
}

#[test]
fn four_megabytes_of_lua_load() {
    let line = "_ = function() return 'some text that is long enough to fill a line of code' end\n";
    let script = format!("{DEFINE}{}", line.repeat((4 << 20) / line.len() - 10));
    assert!(World::plan(&script).is_ok());
}

#[test]
fn values_are_a_table_in_every_load() {
    let ran = World::new()
        .run("return true, nil, { color = values.color, missing = Values.none == nil }");
    assert_eq!(ran.outputs(), r#"{"color":"blue","missing":true}"#);
}

#[test]
fn a_task_that_is_missing_in_a_later_load_is_not_deterministic() {
    let bundle = Arc::new(bundle(DEFINE));
    let sandbox = sandbox("version = 1\n");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let finished = runtime.block_on(async {
        let mut workflow = sandbox
            .plan(&bundle, never())
            .await
            .unwrap()
            .workflows
            .remove(0);
        workflow.tasks[0].name = "elsewhere".into();
        let setup = Setup {
            stack: "test".into(),
            bundle,
            workflow,
            policy: Policy::nothing(),
            own_files: Vec::new(),
            check: false,
            diff: false,
            workdir: None,
            sink: Arc::new(|_| {}),
            signature: None,
            witness: sloth_sandbox::Witness::default(),
        };
        let session = Session::new(sandbox, setup).unwrap();
        first_command(&session, never()).await
    });
    assert_eq!(finished.outcome.word(), "failed");
    assert!(
        finished.message.raw().contains("not deterministic"),
        "{:?}",
        finished.message
    );
}
