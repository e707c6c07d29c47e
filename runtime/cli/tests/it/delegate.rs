//! Where tasks run, as far as one machine goes: what is refused, what is shown, and locks.

use std::time::Duration;

use crate::program::Program;

fn file(program: &Program, script: &str) -> String {
    let path = program.path("w.sloth");
    std::fs::write(&path, script).unwrap();
    path
}

#[test]
fn targets_of_others_are_all_named_and_nothing_runs() {
    let program = Program::new();
    let file = file(
        &program,
        "workflow.define('w', { tasks = {
           task('here'):command(function() log.info('ran') end),
           task('there'):delegate_to('web-01'):command(function() end),
           task('all'):delegate_to('role=web and not region=eu'):command(function() end),
         } })",
    );
    let ended = program.run(&["run", "s", "-f", &file, "--yes"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(!ended.stdout.contains("ran"));
    for line in [
        "targets that are not allowed",
        "`web-01`, for task `there` on line 3",
        "`role=web and not region=eu`, for task `all` on line 4",
        "--delegate-to",
    ] {
        assert!(ended.stderr.contains(line), "{line}: {}", ended.stderr);
    }
}

#[test]
fn the_plan_shows_where_tasks_run() {
    let program = Program::new();
    let file = file(
        &program,
        "workflow.define('w', { delegate_to = function(values) return values.where end, tasks = {
           task('a'):command(function() end),
           task('b'):delegate_to({ 'db-1', 'web-*' }):command(function() end),
         } }):config({ lock = { name = 'prod', wait = 'skip' } })",
    );
    let plan = |format: &str| {
        let ended = program.run(&["plan", &file, "--var", "where=role=web", "--format", format]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    let text = plan("text");
    for line in [
        "  on each of role=web\n",
        "    on each of db-1, web-*\n",
        "is skipped while another run holds the lock prod",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&plan("json")).unwrap();
    let workflow = &json["workflows"][0];
    assert_eq!(workflow["delegate-to"], serde_json::json!(["role=web"]));
    assert_eq!(
        workflow["lock"],
        serde_json::json!({ "name": "prod", "wait": "skip" })
    );
    assert_eq!(workflow["tasks"][0]["delegate-to"], serde_json::Value::Null);
    assert_eq!(
        workflow["tasks"][1]["delegate-to"],
        serde_json::json!(["db-1", "web-*"])
    );
    assert!(plan("dot").contains("label=\"b on db-1, web-*\""));
}

#[test]
fn mistakes_in_delegate_to_and_lock_are_found_when_the_file_is_planned() {
    let program = Program::new();
    for (keys, message) in [
        ("delegate_to = 'role='", "at character 6: expected a value"),
        ("delegate_to = '10.0.0.1:50051'", "is an address"),
        ("delegate_to = { address = 'h:1' }", "known by its name"),
        ("delegate_to = {}", "delegate_to is an empty list"),
        (
            "delegate_to = true",
            "delegate_to of workflow `w`: must be text",
        ),
        (
            "delegate_to = function() return print end",
            "gave another function",
        ),
        (
            "delegate_to = function() return 3 < 4 end",
            "delegate_to of workflow `w`: must be text",
        ),
        ("delegate_to = function() error('no idea') end", "no idea"),
        (
            "delegate_to = function() return fs.read('/etc/hostname') end",
            "not available while the file is loaded",
        ),
        ("config = { lock = { nam = 'x' } }", "unknown key `nam`"),
        (
            "config = { lock = { name = 'x', wait = 'never' } }",
            "wait must be",
        ),
        (
            "config = { lock = '' }",
            "the name of a lock has 1 to 256 bytes",
        ),
    ] {
        let script = format!(
            "workflow.define('w', {{ {keys}, tasks = {{ task('t'):command(function() end) }} }})"
        );
        let ended = program.run(&["plan", &file(&program, &script)]);
        assert_eq!(ended.code, Some(2), "{keys}: {}", ended.stdout);
        assert!(ended.stderr.contains(message), "{keys}: {}", ended.stderr);
    }
}

#[test]
fn a_lock_is_waited_for_skipped_or_failed_at() {
    let program = Program::new();
    let script = |wait: &str, body: &str| {
        let name = format!("{wait}.sloth");
        let path = program.path(&name);
        let text = format!(
            "workflow.define('w'):config({{ lock = {{ name = 'prod', wait = '{wait}' }} }}):tasks({{
               task('t'):command(function() {body} end) }})"
        );
        std::fs::write(&path, text).unwrap();
        path
    };
    let policy = program.policy("files.write = ['{}/held']");
    let holding = script(
        "queue",
        &format!("fs.write('{}', 'x') time.sleep(4)", program.path("held")),
    );
    let (skip, fail) = (script("skip", ""), script("fail", ""));
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| program.run_file(&holding, &["--policy", &policy]));
        while !std::path::Path::new(&program.path("held")).exists() {
            assert!(!holder.is_finished(), "the holder ended early");
            std::thread::sleep(Duration::from_millis(20));
        }
        let skipped = program.run_file(&skip, &["--output", "json"]);
        assert_eq!(skipped.code, Some(0), "{}", skipped.stderr);
        let finished = skipped
            .events()
            .into_iter()
            .find(|event| event["event"] == "step-finished");
        assert_eq!(finished.unwrap()["outcome"], "skipped");
        let failed = program.run_file(&fail, &["--output", "json"]);
        assert_eq!(failed.code, Some(1), "{}", failed.stderr);
        let finished = failed
            .events()
            .into_iter()
            .find(|event| event["event"] == "step-finished");
        assert_eq!(
            finished.unwrap()["message"],
            "another run holds the lock `prod`"
        );
        let checked = program.run_file(&fail, &["--check"]);
        assert_eq!(checked.code, Some(0), "{}", checked.stderr);
        let queued = program.run_file(&script("queue", "log.info('after')"), &[]);
        assert_eq!(queued.code, Some(0), "{}", queued.stderr);
        assert!(queued.stdout.contains("after"), "{}", queued.stdout);
        assert!(
            queued.stderr.contains("this run waits for its end"),
            "{}",
            queued.stderr
        );
        assert_eq!(holder.join().unwrap().code, Some(0));
    });
}
